use serde_json::Value;

use super::{error::Error, form::Params, shape, state::State};

/// Fields that hold the id of another object.
const REFERENCES: [&str; 12] = [
    "charge",
    "customer",
    "default_price",
    "invoice",
    "latest_charge",
    "latest_invoice",
    "payment_intent",
    "price",
    "product",
    "subscription",
    // These two are not sent at all unless asked for.
    "line_items",
    "payments",
];

/// Fields on the way to a reference.
const CONTAINERS: [&str; 9] = [
    "data",
    "items",
    "lines",
    "parent",
    "payment",
    "price_details",
    "pricing",
    "refunds",
    "subscription_details",
];

/// Takes `expand[]` from the parameters of a call.
pub(super) fn requested(params: &mut Params) -> Result<Vec<String>, Error> {
    let paths = params.texts("expand")?;
    for path in &paths {
        let known = |field: &str| REFERENCES.contains(&field) || CONTAINERS.contains(&field);
        if let Some(field) = path.split('.').find(|field| !known(field)) {
            let message = format!("This property cannot be expanded ({field}).");
            return Err(Error::invalid("expand", message));
        }
    }
    Ok(paths)
}

/// Puts objects where their ids stand along `path`, like `data.latest_invoice.payments`.
pub(super) fn expand(state: &State, value: &mut Value, path: &str) {
    if let Value::Array(elements) = value {
        for element in elements {
            expand(state, element, path);
        }
        return;
    }
    let (field, rest) = path.split_once('.').unwrap_or((path, ""));
    if let Some(attached) = attachment(state, value, field) {
        value[field] = attached;
    }
    let Some(next) = value.get_mut(field) else { return };
    let found = next.as_str().and_then(|id| state.get(shape::kind_of(id)?, id));
    if let Some(object) = found {
        *next = object.clone();
    }
    if !rest.is_empty() {
        expand(state, next, rest);
    }
}

/// The lists that belong to an object without being part of it.
fn attachment(state: &State, object: &Value, field: &str) -> Option<Value> {
    let id = object["id"].as_str()?;
    match (object["object"].as_str()?, field) {
        ("checkout.session", "line_items") => {
            let url = format!("/v1/checkout/sessions/{id}/line_items");
            Some(shape::list_of(&url, state.orders.get(id)?.items.clone()))
        }
        ("invoice", "payments") => {
            let payments = state.all("invoice_payment").filter(|payment| payment["invoice"] == id);
            Some(shape::list_of("/v1/invoice_payments", payments.cloned().collect()))
        }
        _ => None,
    }
}
