//! Payments whose money comes days later, such as bank debits: their session is complete before.

use serde_json::{Value, json};

use super::{
    action::Action,
    checkout,
    error::Error,
    payment_methods::{self, Card},
    payments, purchase,
    shape::{merge, text},
};

/// What the buyer does on the hosted page: pays an open session by a method that takes days.
pub(super) fn begin(action: &mut Action, id: &str) -> Result<Value, Error> {
    let mut session = checkout::current(action, id)?;
    if session["status"] != "open" || session["mode"] != "payment" {
        return Err(Error::invalid(
            "session",
            "Only open sessions in payment mode are paid later.",
        ));
    }
    action.live_by(text(&session, "customer"));
    let mut intent = purchase::intent_of(action, &session);
    intent["status"] = "processing".into();
    action.save(&intent);
    action.emit("payment_intent.processing", &intent);
    let done = json!({
        "payment_intent": intent["id"],
        "payment_status": "unpaid",
        "status": "complete",
        "url": null,
    });
    merge(&mut session, done);
    action.save(&session);
    action.emit("checkout.session.completed", &session);
    Ok(session)
}

/// Has the bank pay, or not, what was begun.
pub(super) fn end(action: &mut Action, id: &str, card: Card) -> Result<Value, Error> {
    let mut session = action.find("checkout.session", id)?;
    let mut intent = action.find("payment_intent", text(&session, "payment_intent"))?;
    if intent["status"] != "processing" {
        return Err(Error::invalid("session", "Nothing is on its way for this session."));
    }
    let method = payment_methods::make(action, card);
    let paid = payments::charge(action, &mut intent, &method, &Value::Null);
    if paid {
        session["payment_status"] = "paid".into();
    }
    action.save(&session);
    let outcome = if paid { "succeeded" } else { "failed" };
    action.emit(&format!("checkout.session.async_payment_{outcome}"), &session);
    Ok(session)
}
