//! Older versions of the API: the same objects in the shapes they had.

use serde_json::{Map, Value, json};

use super::error::Error;

/// The version the simulator speaks by itself.
pub(super) const CURRENT: &str = "2026-09-30.endive";

/// Since then, periods belong to items and invoices have parents and payments.
const BASIL: &str = "2025-03-31";

/// Since then, discounts and promotion codes say where they come from.
const CLOVER: &str = "2025-09-30";

/// Refuses what is no version: a date, and since 2024 the name of a release.
pub(super) fn check(version: &str, param: &str) -> Result<(), Error> {
    let (date, release) = version.split_once('.').unwrap_or((version, "named"));
    let plausible = date.len() == 10
        && chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok()
        && !release.is_empty();
    if plausible {
        return Ok(());
    }
    let message = format!("Invalid Stripe API version: {version}");
    Err(Error::invalid(param, message))
}

/// Shows an object, or what contains some, as `version` did.
pub(super) fn show(value: &mut Value, version: &str) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| show(value, version)),
        Value::Object(fields) => {
            fields.values_mut().for_each(|value| show(value, version));
            reshape(fields, version);
        }
        _ => {}
    }
}

fn reshape(object: &mut Map<String, Value>, version: &str) {
    let kind = object.get("object").and_then(Value::as_str).unwrap_or_default().to_owned();
    if version < CLOVER {
        match kind.as_str() {
            "discount" => unwrap(object, "source"),
            "promotion_code" => unwrap(object, "promotion"),
            _ => {}
        }
    }
    if version < BASIL {
        match kind.as_str() {
            "subscription" => subscription(object),
            "invoice" => invoice(object),
            "line_item" => line_item(object),
            _ => {}
        }
    }
}

/// Puts the coupon where it stood before it had a container.
fn unwrap(object: &mut Map<String, Value>, container: &str) {
    if let Some(container) = object.remove(container) {
        object.insert("coupon".to_owned(), container["coupon"].clone());
    }
}

fn subscription(object: &mut Map<String, Value>) {
    let first = object.get("items").map_or(Value::Null, |items| items["data"][0].clone());
    for field in ["current_period_end", "current_period_start"] {
        object.insert(field.to_owned(), first[field].clone());
    }
    let items = object.get_mut("items").and_then(|items| items["data"].as_array_mut());
    for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
        item.remove("current_period_end");
        item.remove("current_period_start");
    }
    let discount = object.get("discounts").map_or(Value::Null, |all| all[0].clone());
    object.insert("discount".to_owned(), discount);
    object.remove("billing_mode");
}

fn invoice(object: &mut Map<String, Value>) {
    let parent = object.remove("parent").unwrap_or_default();
    let details = &parent["subscription_details"];
    let paid = object.get("status").is_some_and(|status| status == "paid");
    object.insert("subscription".to_owned(), details["subscription"].clone());
    object.insert("subscription_details".to_owned(), json!({ "metadata": details["metadata"] }));
    object.insert("paid".to_owned(), paid.into());
    object.insert("tax".to_owned(), Value::Null);
    object.remove("total_taxes");
    object.remove("amount_overpaid");
    let payments = object.remove("payments").unwrap_or_default();
    let intent = payments["data"][0]["payment"]["payment_intent"].clone();
    object.insert("payment_intent".to_owned(), intent);
}

fn line_item(object: &mut Map<String, Value>) {
    let parent = object.remove("parent").unwrap_or_default();
    let details = &parent["subscription_item_details"];
    let pricing = object.remove("pricing").unwrap_or_default();
    let kind = if details.is_null() { "invoiceitem" } else { "subscription" };
    object.insert("type".to_owned(), kind.into());
    object.insert("proration".to_owned(), (details["proration"] == true).into());
    object.insert("subscription_item".to_owned(), details["subscription_item"].clone());
    object.insert(
        "price".to_owned(),
        json!({
            "id": pricing["price_details"]["price"],
            "object": "price",
            "product": pricing["price_details"]["product"],
            "unit_amount_decimal": pricing["unit_amount_decimal"],
        }),
    );
    object.insert("amount_excluding_tax".to_owned(), object_amount(object).into());
    object.remove("taxes");
    object.remove("quantity_decimal");
}

fn object_amount(object: &Map<String, Value>) -> i64 {
    object.get("amount").and_then(Value::as_i64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::shape::integer;

    #[test]
    fn before_basil_a_subscription_had_its_period_itself() {
        let item = json!({ "object": "subscription_item", "current_period_end": 2, "current_period_start": 1 });
        let new = json!({ "object": "subscription", "items": { "data": [item] } });
        let mut event = json!({ "object": "event", "data": { "object": new } });
        show(&mut event, "2024-06-20");
        let old = &event["data"]["object"];
        assert_eq!(
            (integer(old, "current_period_start"), integer(old, "current_period_end")),
            (1, 2)
        );
        assert!(old["items"]["data"][0]["current_period_end"].is_null());
    }

    #[test]
    fn what_is_current_stays_as_it_is() {
        let discount =
            json!({ "object": "discount", "source": { "coupon": "c", "type": "coupon" } });
        let mut shown = discount.clone();
        show(&mut shown, CURRENT);
        assert_eq!(shown, discount);
        show(&mut shown, "2025-03-31.basil");
        assert_eq!(shown, json!({ "object": "discount", "coupon": "c" }));
    }

    #[test]
    fn a_version_begins_with_a_date() {
        for good in [CURRENT, "2024-06-20", "2025-03-31.basil"] {
            assert!(check(good, "Stripe-Version").is_ok(), "{good}");
        }
        for bad in ["", "latest", "2024-13-01", "2024-06-20.", "24-6-2"] {
            assert!(check(bad, "Stripe-Version").is_err(), "{bad}");
        }
    }
}
