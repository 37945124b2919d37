use serde_json::{Value, json};

use super::{action::Action, error::Error, form::Params, list, shape::text, subscriptions};

pub(super) fn create(action: &mut Action, params: Params) -> Result<Value, Error> {
    let mut fields = json!({ "metadata": {} });
    write(&mut fields, params)?;
    Ok(add(action, fields))
}

/// Makes a customer of `fields` and tells so.
pub(super) fn add(action: &mut Action, fields: Value) -> Value {
    let customer = action.create("customer", fields);
    action.emit("customer.created", &customer);
    customer
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "customer", "/v1/customers", params, &["email"])
}

pub(super) fn update(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    let before = action.find("customer", id)?;
    if before["deleted"] == true {
        return Err(Error::not_found("customer", id));
    }
    let mut customer = before.clone();
    write(&mut customer, params)?;
    action.update("customer.updated", &before, &customer);
    Ok(customer)
}

/// Deletes a customer and ends what they subscribed to; the id stays known as deleted.
pub(super) fn delete(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let customer = action.find("customer", id)?;
    if customer["deleted"] == true {
        return Err(Error::not_found("customer", id));
    }
    let theirs = |subscription: &&Value| {
        subscription["customer"] == id && text(subscription, "status") != "canceled"
    };
    let subscriptions: Vec<Value> =
        action.state.all("subscription").filter(theirs).cloned().collect();
    for subscription in subscriptions {
        subscriptions::end(action, subscription);
    }
    let deleted = json!({ "id": id, "object": "customer", "deleted": true });
    action.save(&deleted);
    action.emit("customer.deleted", &customer);
    Ok(deleted)
}

fn write(customer: &mut Value, mut params: Params) -> Result<(), Error> {
    params.copy_texts(customer, &["description", "email", "name", "phone"])?;
    params.copy_metadata(customer)?;
    if let Some(tax) = params.one_of("tax_exempt", &["exempt", "none", "reverse"])? {
        customer["tax_exempt"] = tax.into();
    }
    if let Some(mut given) = params.map("address")? {
        let parts = ["city", "country", "line1", "line2", "postal_code", "state"];
        let mut address = json!({});
        for part in parts {
            address[part] = given.text(part)?.into();
        }
        customer["address"] = address;
        given.done()?;
    }
    params.done()
}
