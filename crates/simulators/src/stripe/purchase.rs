use serde_json::{Value, json};

use super::{
    action::Action,
    checkout, customers,
    error::Error,
    line_items,
    payments::{self, Card},
    shape::{integer, merge, text},
    subscriptions,
};

/// What the buyer does on the hosted page: pays an open session with `card`.
///
/// The session comes back as it is then: complete; open, when the card was declined; or as it was, when it
/// was not open any more.
pub(super) fn pay(
    action: &mut Action,
    id: &str,
    card: Card,
    email: Option<String>,
) -> Result<Value, Error> {
    let mut session = checkout::current(action, id)?;
    if session["status"] != "open" {
        return Ok(session);
    }
    if session["customer_details"].is_null() {
        session["customer_details"] = checkout::details(email.into());
    }
    if card == Card::Declined {
        let mut intent = intent_of(action, &session);
        payments::charge(action, &mut intent, card, &session["customer_details"]["email"]);
        if session["mode"] == "payment" {
            session["payment_intent"] = intent["id"].clone();
        }
        action.save(&session);
        return Ok(session);
    }
    complete(action, &mut session);
    action.save(&session);
    action.emit("checkout.session.completed", &session);
    Ok(session)
}

fn complete(action: &mut Action, session: &mut Value) {
    let subscribes = session["mode"] == "subscription";
    let email = session["customer_details"]["email"].clone();
    if session["customer"].is_null() && (subscribes || session["customer_creation"] == "always") {
        session["customer"] = customers::add(action, json!({ "email": email }))["id"].clone();
    }
    if subscribes {
        let (bought, data) = match action.state.orders.get(text(session, "id")) {
            Some(order) => (line_items::bought(&order.items), order.subscription_data.clone()),
            None => (Vec::new(), Value::Null),
        };
        let customer = text(session, "customer");
        let (subscription, invoice) = subscriptions::start(action, customer, &bought, &data);
        let ids = json!({ "subscription": subscription["id"], "invoice": invoice["id"] });
        merge(session, ids);
    } else if integer(session, "amount_total") > 0 {
        let mut intent = intent_of(action, session);
        payments::charge(action, &mut intent, Card::Accepted, &email);
        session["payment_intent"] = intent["id"].clone();
    }
    let free = integer(session, "amount_total") == 0;
    let payment_status = if free { "no_payment_required" } else { "paid" };
    merge(session, json!({ "payment_status": payment_status, "status": "complete", "url": null }));
}

/// The intent of an earlier attempt to pay, or a new one.
fn intent_of(action: &mut Action, session: &Value) -> Value {
    let earlier = text(session, "payment_intent");
    if let Some(mut intent) = action.state.get("payment_intent", earlier).cloned() {
        intent["customer"] = session["customer"].clone();
        return intent;
    }
    let order = action.state.orders.get(text(session, "id"));
    let mut fields = order.map_or(json!({}), |order| order.payment_intent_data.clone());
    merge(
        &mut fields,
        json!({
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
        }),
    );
    payments::intend(action, fields)
}
