use serde_json::{Value, json};

use super::{action::Action, error::Error, form::Params, list, shape::text};

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut product = json!({ "metadata": {}, "name": params.required("name")? });
    if let Some(id) = params.text("id")? {
        if action.state.get("product", &id).is_some_and(|known| known["deleted"] != true) {
            let message = "Product already exists.";
            return Err(Error::malformed("resource_already_exists", "id", message));
        }
        product["id"] = id.into();
    }
    write(&mut product, params)?;
    Ok(add(action, product))
}

/// Makes a product of `fields` and tells so.
pub(super) fn add(action: &mut Action, mut fields: Value) -> Value {
    fields["updated"] = action.now.into();
    let product = action.create("product", fields);
    action.emit("product.created", &product);
    product
}

/// Reads what a price makes its product of.
pub(super) fn read_data(mut data: Params) -> Result<Value, Error> {
    let mut product = json!({ "metadata": {}, "name": data.required("name")? });
    write(&mut product, data)?;
    Ok(product)
}

pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let ids = params.texts("ids")?;
    if ids.is_empty() {
        return list::list(action, "product", "/v1/products", params, &["active", "type"]);
    }
    let wanted = |product: &&Value| ids.iter().any(|id| id == text(product, "id"));
    let found = action.state.all("product").filter(wanted).cloned().collect();
    list::page(found, "/v1/products", params)
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = existing(action, id)?;
    let mut product = before.clone();
    params.copy_texts(&mut product, &["name", "default_price"])?;
    write(&mut product, params)?;
    product["updated"] = action.now.into();
    action.update("product.updated", &before, &product);
    Ok(product)
}

pub(super) fn delete(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let product = existing(action, id)?;
    if action.state.all("price").any(|price| price["product"] == id) {
        let message =
            "This product cannot be deleted because it has one or more user-created prices.";
        return Err(Error::invalid("id", message));
    }
    let deleted = json!({ "id": id, "object": "product", "deleted": true });
    action.save(&deleted);
    action.emit("product.deleted", &product);
    Ok(deleted)
}

fn existing(action: &Action, id: &str) -> Result<Value, Error> {
    let product = action.find("product", id)?;
    if product["deleted"] == true { Err(Error::not_found("product", id)) } else { Ok(product) }
}

fn write(product: &mut Value, mut params: Params) -> Result<(), Error> {
    let texts = ["description", "statement_descriptor", "tax_code", "unit_label", "url"];
    params.copy_texts(product, &texts)?;
    params.copy_metadata(product)?;
    if let Some(active) = params.flag("active")? {
        product["active"] = active.into();
    }
    let features = params.maps("marketing_features")?;
    if !features.is_empty() {
        product["marketing_features"] = json!([]);
    }
    for mut feature in features {
        let name = feature.required("name")?;
        feature.done()?;
        if let Some(all) = product["marketing_features"].as_array_mut() {
            all.push(json!({ "name": name }));
        }
    }
    params.done()
}
