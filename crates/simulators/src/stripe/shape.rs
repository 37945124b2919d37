use serde_json::{Value, json};

/// A kind of object: its name, the prefix of its ids, and the object when nothing about it is known.
struct Kind {
    name: &'static str,
    prefix: &'static str,
    blank: &'static str,
}

macro_rules! kinds {
    ($($name:literal $prefix:literal),* $(,)?) => {
        &[$(Kind {
            name: $name,
            prefix: $prefix,
            blank: include_str!(concat!("shapes/", $name, ".json")),
        }),*]
    };
}

const KINDS: &[Kind] = kinds![
    "balance_transaction" "txn",
    "billing.meter" "mtr",
    "billing.meter_event" "mev",
    "billing.meter_event_summary" "mtrusg",
    "billing_portal.configuration" "bpc",
    "billing_portal.session" "bps",
    "charge" "ch",
    "checkout.session" "cs_test",
    "coupon" "coupon",
    "credit_note" "cn",
    "credit_note_line_item" "cnli",
    "customer" "cus",
    "customer_balance_transaction" "cbtxn",
    "discount" "di",
    "dispute" "dp",
    "event" "evt",
    "invoice" "in",
    "invoice_payment" "inpay",
    "item" "li",
    "line_item" "il",
    "payment_intent" "pi",
    "payment_method" "pm",
    "plan" "plan",
    "price" "price",
    "product" "prod",
    "promotion_code" "promo",
    "refund" "re",
    "subscription" "sub",
    "subscription_item" "si",
    "subscription_schedule" "sub_sched",
    "tax_id" "txi",
    "test_helpers.test_clock" "clock",
    "webhook_endpoint" "we",
];

fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).expect("every kind that is made has a shape")
}

pub(super) fn prefix(name: &str) -> &'static str {
    kind(name).prefix
}

/// The kind of object an id belongs to.
pub(super) fn kind_of(id: &str) -> Option<&'static str> {
    let (prefix, _) = id.rsplit_once('_')?;
    KINDS.iter().find(|kind| kind.prefix == prefix).map(|kind| kind.name)
}

/// An object with `fields` over the blank shape of its kind.
pub(super) fn shaped(name: &str, fields: Value) -> Value {
    let mut object = serde_json::from_str(kind(name).blank).expect("shapes are JSON");
    merge(&mut object, fields);
    object
}

/// Sets in `object` what `fields` has.
pub(super) fn merge(object: &mut Value, fields: Value) {
    if let (Value::Object(object), Value::Object(fields)) = (object, fields) {
        object.extend(fields);
    }
}

/// A list as it stands inside another object: complete.
pub(super) fn list_of(url: &str, data: Vec<Value>) -> Value {
    json!({ "object": "list", "url": url, "has_more": false, "data": data })
}

/// A text field, empty when null.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// An integer field, zero when null.
pub(super) fn integer(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_default()
}
