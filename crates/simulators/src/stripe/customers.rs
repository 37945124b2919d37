use serde_json::{Value, json};

use super::{
    action::Action, error::Error, form::Params, list, payment_methods, shape::text, subscriptions,
    tax_ids,
};

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut fields = json!({ "metadata": {} });
    if let Some(clock) = params.text("test_clock")? {
        action.refer("test_helpers.test_clock", &clock, "test_clock")?;
        fields["test_clock"] = clock.into();
    }
    let method = params.text("payment_method")?;
    let tax_ids = params.maps("tax_id_data")?;
    fields["invoice_settings"] = json!({
        "custom_fields": null,
        "default_payment_method": null,
        "footer": null,
        "rendering_options": null,
    });
    let default = read_settings(&mut fields, &mut params)?;
    write(&mut fields, params)?;
    action.all_or_nothing(|action| {
        let mut customer = add(action, fields);
        let id = text(&customer, "id").to_owned();
        for data in tax_ids {
            tax_ids::create(action, &id, data)?;
        }
        if let Some(method) = method {
            payment_methods::named(action, &method, &id, "payment_method")?;
        }
        set_default(action, &mut customer, default)?;
        action.save(&customer);
        Ok(customer)
    })
}

/// Makes a customer of `fields` and tells so.
pub(super) fn add(action: &mut Action, fields: Value) -> Value {
    let mut customer = action.shape("customer", fields);
    let id = text(&customer, "id").to_owned();
    if let Some(clock) = customer["test_clock"].as_str() {
        let clock = action.state.get("test_helpers.test_clock", clock);
        action.now = clock.and_then(|clock| clock["frozen_time"].as_i64()).unwrap_or(action.now);
        customer["created"] = action.now.into();
    }
    // Their invoices are numbered by it.
    let end = id.len().saturating_sub(8);
    customer["invoice_prefix"] = id[end..].to_uppercase().into();
    action.save(&customer);
    action.emit("customer.created", &customer);
    customer
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "customer", "/v1/customers", params, &["email", "test_clock"])
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = existing(action, id)?;
    let mut customer = before.clone();
    let default = read_settings(&mut customer, &mut params)?;
    write(&mut customer, params)?;
    set_default(action, &mut customer, default)?;
    action.update("customer.updated", &before, &customer);
    Ok(customer)
}

/// A customer who is not deleted.
pub(super) fn existing(action: &mut Action, id: &str) -> Result<Value, Error> {
    let customer = action.find("customer", id)?;
    if customer["deleted"] == true {
        return Err(Error::not_found("customer", id));
    }
    action.live_by(id);
    Ok(customer)
}

/// Deletes a customer and ends what they subscribed to; the id stays known as deleted.
pub(super) fn delete(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let customer = existing(action, id)?;
    let theirs = |subscription: &&Value| {
        subscription["customer"] == id && !subscriptions::has_ended(subscription)
    };
    let subscriptions: Vec<Value> =
        action.state.all("subscription").filter(theirs).cloned().collect();
    for subscription in subscriptions {
        subscriptions::end(action, subscription, "cancellation_requested");
    }
    let deleted = json!({ "id": id, "object": "customer", "deleted": true });
    action.save(&deleted);
    action.emit("customer.deleted", &customer);
    Ok(deleted)
}

/// Reads what a customer's invoices look like and are paid with; the payment method named comes back.
fn read_settings(customer: &mut Value, params: &mut Params) -> Result<Option<String>, Error> {
    let Some(mut given) = params.map("invoice_settings")? else { return Ok(None) };
    let known = &mut customer["invoice_settings"];
    given.copy_texts(known, &["footer"])?;
    if given.emptied("custom_fields") {
        known["custom_fields"] = Value::Null;
    }
    let mut fields = Vec::new();
    for mut field in given.maps("custom_fields")? {
        let (name, value) = (field.required("name")?, field.required("value")?);
        field.done()?;
        fields.push(json!({ "name": name, "value": value }));
    }
    if !fields.is_empty() {
        known["custom_fields"] = fields.into();
    }
    let method = given.text("default_payment_method")?;
    given.done()?;
    Ok(method)
}

fn set_default(
    action: &mut Action,
    customer: &mut Value,
    method: Option<String>,
) -> Result<(), Error> {
    let Some(method) = method else { return Ok(()) };
    let param = "invoice_settings[default_payment_method]";
    customer["invoice_settings"]["default_payment_method"] = if method.is_empty() {
        Value::Null
    } else {
        payment_methods::named(action, &method, text(customer, "id"), param)?["id"].clone()
    };
    Ok(())
}

/// Stops paying with a method that was taken away.
pub(super) fn forget_method(action: &mut Action, id: &str, method: &str) {
    let Some(mut customer) = action.state.get("customer", id).cloned() else { return };
    let default = &mut customer["invoice_settings"]["default_payment_method"];
    if *default == method {
        *default = Value::Null;
        action.save(&customer);
    }
    let paid_by_it = |subscription: &&Value| subscription["default_payment_method"] == method;
    let all = action.state.all("subscription");
    let subscriptions: Vec<Value> = all.filter(paid_by_it).cloned().collect();
    for mut subscription in subscriptions {
        subscription["default_payment_method"] = Value::Null;
        action.save(&subscription);
    }
}

fn write(customer: &mut Value, mut params: Params) -> Result<(), Error> {
    params.copy_texts(customer, &["description", "email", "name", "phone"])?;
    params.copy_metadata(customer)?;
    for (field, most) in [("business_name", 150), ("individual_name", 150)] {
        if let Some(name) = params.text(field)? {
            let name: String = name.chars().take(most).collect();
            customer[field] = if name.is_empty() { Value::Null } else { name.into() };
        }
    }
    if let Some(tax) = params.one_of("tax_exempt", &["exempt", "none", "reverse"])? {
        customer["tax_exempt"] = tax.into();
    }
    if let Some(prefix) = params.text("invoice_prefix")? {
        let fits = (3..=12).contains(&prefix.len())
            && prefix.bytes().all(|sign| sign.is_ascii_uppercase() || sign.is_ascii_digit());
        if !fits {
            let message = "An invoice prefix has 3 to 12 uppercase letters or numbers.";
            return Err(Error::invalid("invoice_prefix", message));
        }
        customer["invoice_prefix"] = prefix.into();
    }
    if let Some(balance) = params.integer("balance")? {
        customer["balance"] = balance.into();
    }
    let locales = params.texts("preferred_locales")?;
    if !locales.is_empty() {
        customer["preferred_locales"] = locales.into();
    }
    if params.emptied("address") {
        customer["address"] = Value::Null;
    }
    if let Some(mut given) = params.map("address")? {
        let parts = ["city", "country", "line1", "line2", "postal_code", "state"];
        let mut address = json!({});
        for part in parts {
            address[part] = given.text(part)?.filter(|text| !text.is_empty()).into();
        }
        customer["address"] = address;
        given.done()?;
    }
    params.done()
}
