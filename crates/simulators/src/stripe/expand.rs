use serde_json::Value;

use super::{error::Error, form::Params, invoices, shape, state::State};

/// Fields that hold the id of another object.
const REFERENCES: [&str; 27] = [
    "balance_transaction",
    "balance_transactions",
    "charge",
    "coupon",
    "customer",
    "default_payment_method",
    "default_price",
    "discount",
    "discounts",
    "dispute",
    "invoice",
    "latest_charge",
    "latest_invoice",
    "meter",
    "payment_intent",
    "payment_method",
    "price",
    "product",
    "promotion_code",
    "refund",
    "source",
    "subscription",
    "test_clock",
    // These are not sent at all unless asked for.
    "applies_to",
    "line_items",
    "payments",
    "tax_ids",
];

/// Fields on the way to a reference.
const CONTAINERS: [&str; 14] = [
    "customer_balance_transaction",
    "data",
    "discount_amounts",
    "invoice_settings",
    "items",
    "lines",
    "parent",
    "payment",
    "price_details",
    "pricing",
    "promotion",
    "recurring",
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
    replace(state, next, field);
    if !rest.is_empty() {
        expand(state, next, rest);
    }
}

/// Puts the object in place of its id, or of each id in a list.
fn replace(state: &State, reference: &mut Value, field: &str) {
    if let Value::Array(ids) = reference {
        for id in ids {
            replace(state, id, field);
        }
        return;
    }
    let Some(id) = reference.as_str() else { return };
    // Products and coupons may have ids of their owner's choice.
    let found = state.get(field, id).or_else(|| state.get(shape::kind_of(id)?, id));
    if let Some(object) = found {
        *reference = object.clone();
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
        ("invoice", "payments") => Some(invoices::payments_of(state, id)),
        ("customer", "tax_ids") => {
            let own = state.all("tax_id").filter(|tax_id| tax_id["customer"] == id);
            let url = format!("/v1/customers/{id}/tax_ids");
            Some(shape::list_of(&url, own.cloned().collect()))
        }
        _ => None,
    }
}
