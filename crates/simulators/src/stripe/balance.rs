use serde_json::{Value, json};

use super::{action::Action, error::Error, form::Params, list};

/// When money that came in can be paid out.
const AVAILABLE_AFTER: i64 = 2 * 24 * 3600;

/// A movement of the account's own money.
pub(super) struct Movement<'a> {
    /// `charge`, `refund`, `adjustment` …, as Stripe names them.
    pub(super) kind: &'a str,
    /// What accountants file it under.
    pub(super) category: &'a str,
    /// Negative for money that leaves.
    pub(super) amount: i64,
    /// What Stripe keeps; negative when it gives a fee back.
    pub(super) fee: i64,
    /// The object that moved it.
    pub(super) source: &'a Value,
}

/// Writes a movement down; its id comes back, for the object that moved it.
pub(super) fn record(action: &mut Action, movement: &Movement) -> Value {
    let Movement { kind, category, amount, fee, source } = movement;
    let fees = json!({
        "amount": fee,
        "application": null,
        "currency": source["currency"],
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    });
    let transaction = action.create(
        "balance_transaction",
        json!({
            "amount": amount,
            "available_on": action.now + AVAILABLE_AFTER,
            "currency": source["currency"],
            "fee": fee,
            "fee_details": if *fee == 0 { json!([]) } else { json!([fees]) },
            "net": amount - fee,
            "reporting_category": category,
            "source": source["id"],
            "status": "pending",
            "type": kind,
        }),
    );
    transaction["id"].clone()
}

/// What Stripe keeps of a payment by card: 2.9 % and 30 cents.
pub(super) fn fee(amount: i64) -> i64 {
    (amount * 29 + 500) / 1000 + 30
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    let filters = ["currency", "source", "type"];
    list::list(action, "balance_transaction", "/v1/balance_transactions", params, &filters)
}
