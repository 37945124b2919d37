use serde_json::{Value, json};

use super::{
    action::Action,
    balance::{self, Movement},
    error::Error,
    form::Params,
    list,
    payment_methods::{self, Card},
    shape::{integer, list_of, merge, text},
};

pub(super) fn list_charges(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "charge", "/v1/charges", params, &["customer", "payment_intent"])
}

pub(super) fn list_intents(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "payment_intent", "/v1/payment_intents", params, &["customer"])
}

/// An intent to pay what `fields` say, which nobody has paid yet.
pub(super) fn intend(action: &mut Action, fields: Value) -> Value {
    let mut intent = action.create("payment_intent", fields);
    intent["client_secret"] = format!("{}_secret_simulated", text(&intent, "id")).into();
    action.save(&intent);
    intent
}

/// Charges a payment method with the amount of an intent; true when the money came.
pub(super) fn charge(
    action: &mut Action,
    intent: &mut Value,
    method: &Value,
    email: &Value,
) -> bool {
    let card = Card::of(method);
    let amount = integer(intent, "amount");
    let mut fields = json!({
        "amount": amount,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "metadata": intent["metadata"],
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": payment_methods::charged(method),
        "receipt_email": intent["receipt_email"],
    });
    merge(&mut fields, outcome(card, amount));
    let mut charge = action.shape("charge", fields);
    charge["billing_details"]["email"] = email.clone();
    let id = text(&charge, "id").to_owned();
    charge["refunds"] = list_of(&format!("/v1/charges/{id}/refunds"), Vec::new());
    if card == Card::Accepted {
        let (kind, fee) = ("charge", balance::fee(amount));
        let movement = Movement { kind, category: kind, amount, fee, source: &charge };
        charge["balance_transaction"] = balance::record(action, &movement);
        charge["receipt_url"] = format!("{}/receipts/{id}", action.origin.base_url).into();
    }
    action.save(&charge);

    intent["latest_charge"] = charge["id"].clone();
    merge(intent, intent_after(card, &charge));
    action.save(intent);
    let (charge_event, intent_event) = match card {
        Card::Accepted => ("charge.succeeded", "payment_intent.succeeded"),
        Card::Declined => ("charge.failed", "payment_intent.payment_failed"),
    };
    action.emit(charge_event, &charge);
    action.emit(intent_event, intent);
    card == Card::Accepted
}

fn intent_after(card: Card, charge: &Value) -> Value {
    match card {
        Card::Accepted => json!({
            "amount_received": charge["amount"],
            "last_payment_error": null,
            "payment_method": charge["payment_method"],
            "status": "succeeded",
        }),
        Card::Declined => json!({
            "status": "requires_payment_method",
            "last_payment_error": {
                "charge": charge["id"],
                "code": "card_declined",
                "decline_code": "generic_decline",
                "message": "Your card was declined.",
                "type": "card_error",
            },
        }),
    }
}

fn outcome(card: Card, amount: i64) -> Value {
    let (network_status, reason, seller_message, kind) = match card {
        Card::Accepted => ("approved_by_network", None, "Payment complete.", "authorized"),
        Card::Declined => {
            let message = "The bank did not return any further details with this decline.";
            ("declined_by_network", Some("generic_decline"), message, "issuer_declined")
        }
    };
    let outcome = json!({
        "advice_code": null,
        "network_advice_code": null,
        "network_decline_code": null,
        "network_status": network_status,
        "reason": reason,
        "risk_level": "normal",
        "seller_message": seller_message,
        "type": kind,
    });
    match card {
        Card::Accepted => json!({
            "amount_captured": amount,
            "captured": true,
            "outcome": outcome,
            "paid": true,
            "status": "succeeded",
        }),
        Card::Declined => json!({
            "failure_code": "card_declined",
            "failure_message": "Your card was declined.",
            "outcome": outcome,
            "status": "failed",
        }),
    }
}
