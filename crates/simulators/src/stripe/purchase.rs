use serde_json::{Value, json};

use super::{
    action::Action,
    checkout, customers,
    discounts::Asked,
    error::Error,
    invoices::{self, Draft},
    items, line_items,
    payment_methods::{self, Card},
    payments,
    shape::{integer, merge, text},
    subscriptions::{self, Start},
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
    action.live_by(text(&session, "customer"));
    if session["customer_details"].is_null() {
        session["customer_details"] = checkout::details(email.into());
    }
    if card == Card::Declined {
        decline(action, &mut session);
        action.save(&session);
        return Ok(session);
    }
    action.all_or_nothing(|action| {
        complete(action, &mut session)?;
        action.save(&session);
        action.emit("checkout.session.completed", &session);
        Ok(session)
    })
}

fn decline(action: &mut Action, session: &mut Value) {
    if integer(session, "amount_total") == 0 {
        return;
    }
    let method = payment_methods::make(action, Card::Declined);
    let mut intent = intent_of(action, session);
    payments::charge(action, &mut intent, &method, &session["customer_details"]["email"]);
    if session["mode"] == "payment" {
        session["payment_intent"] = intent["id"].clone();
    }
}

fn complete(action: &mut Action, session: &mut Value) -> Result<(), Error> {
    let subscribes = session["mode"] == "subscription";
    let invoices = session["invoice_creation"]["enabled"] == true;
    let keeps_customer = subscribes || invoices || session["customer_creation"] == "always";
    if session["customer"].is_null() && keeps_customer {
        let email = session["customer_details"]["email"].clone();
        session["customer"] = customers::add(action, json!({ "email": email }))["id"].clone();
    }
    if subscribes {
        subscribe(action, session)?;
    } else {
        buy_once(action, session, invoices)?;
    }
    let free = integer(session, "amount_total") == 0;
    let payment_status = if free { "no_payment_required" } else { "paid" };
    merge(session, json!({ "payment_status": payment_status, "status": "complete", "url": null }));
    Ok(())
}

fn discounts_of(session: &Value) -> Vec<Asked> {
    session["discounts"].as_array().into_iter().flatten().filter_map(Asked::of).collect()
}

fn subscribe(action: &mut Action, session: &mut Value) -> Result<(), Error> {
    let customer = text(session, "customer").to_owned();
    let (bought, data) = match action.state.orders.get(text(session, "id")) {
        Some(order) => (line_items::bought(&order.items), order.subscription_data.clone()),
        None => (Vec::new(), Value::Null),
    };
    let mut fields = data["fields"].clone();
    fields["automatic_tax"] = json!({
        "disabled_reason": null,
        "enabled": session["automatic_tax"]["enabled"],
        "liability": session["automatic_tax"]["liability"],
    });
    let free = integer(session, "amount_total") == 0;
    if !(free && session["payment_method_collection"] == "if_required") {
        let method = payment_methods::add(action, &customer, Card::Accepted);
        fields["default_payment_method"] = method["id"].clone();
    }
    let discounts = discounts_of(session);
    let start = Start {
        customer: &customer,
        bought: &bought,
        fields,
        trial_end: data["trial"].as_i64().map(|trial| action.now + trial),
        discounts: &discounts,
        unpaid: false,
    };
    let (subscription, invoice) = subscriptions::start(action, start)?;
    let ids = json!({ "subscription": subscription["id"], "invoice": invoice["id"] });
    merge(session, ids);
    Ok(())
}

fn buy_once(action: &mut Action, session: &mut Value, invoices: bool) -> Result<(), Error> {
    let amount = integer(session, "amount_total");
    let mut discounts = Vec::new();
    for asked in discounts_of(session) {
        let fields = json!({ "checkout_session": session["id"] });
        let subtotal = integer(session, "amount_subtotal");
        discounts.push(asked.redeem(action, text(session, "customer"), subtotal, fields)?);
    }
    if invoices {
        pay_by_invoice(action, session, discounts.into());
    } else if amount > 0 {
        let method = payment_methods::make(action, Card::Accepted);
        let mut intent = intent_of(action, session);
        let email = session["customer_details"]["email"].clone();
        payments::charge(action, &mut intent, &method, &email);
        session["payment_intent"] = intent["id"].clone();
    }
    Ok(())
}

/// A single payment that is an invoice's.
fn pay_by_invoice(action: &mut Action, session: &mut Value, discounts: Value) {
    let order = action.state.orders.get(text(session, "id"));
    let bought = order.map(|order| line_items::bought(&order.items)).unwrap_or_default();
    let data = order.map(|order| order.payment_intent_data.clone()).unwrap_or_default();
    let lines = bought.iter().map(|bought| items::line_once(action, bought)).collect();
    let draft = Draft {
        id: action.state.next_id("in"),
        customer: text(session, "customer"),
        subscription: &Value::Null,
        reason: "manual",
        lines,
        period: (action.now, action.now),
        discounts,
    };
    let mut invoice = invoices::create(action, draft);
    for field in ["description", "footer", "metadata"] {
        invoice[field] = session["invoice_creation"]["invoice_data"][field].clone();
    }
    invoices::open(action, &mut invoice);
    if let Some(mut intent) = invoices::intent_of(action, &invoice) {
        merge(&mut intent, data);
        action.save(&intent);
        session["payment_intent"] = intent["id"].clone();
    }
    let method = payment_methods::add(action, text(session, "customer"), Card::Accepted);
    invoices::settle_with(action, &mut invoice, Some(&method));
    session["invoice"] = invoice["id"].clone();
}

/// The intent of an earlier attempt to pay, or a new one.
pub(super) fn intent_of(action: &mut Action, session: &Value) -> Value {
    let earlier = text(session, "payment_intent");
    if let Some(mut intent) = action.state.get("payment_intent", earlier).cloned() {
        intent["customer"] = session["customer"].clone();
        intent["amount"] = session["amount_total"].clone();
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
