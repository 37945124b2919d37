use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    list,
    payments::{self, Card},
    shape::{integer, list_of, merge, text},
    subscriptions,
};

pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let subscription = params.text("subscription")?;
    let status = params.text("status")?;
    let customer = params.text("customer")?;
    let wanted = |invoice: &&Value| {
        let of = &invoice["parent"]["subscription_details"]["subscription"];
        subscription.as_ref().is_none_or(|id| of == id.as_str())
            && status.as_ref().is_none_or(|status| invoice["status"] == status.as_str())
            && customer.as_ref().is_none_or(|id| invoice["customer"] == id.as_str())
    };
    let invoices = action.state.all("invoice").rev().filter(wanted).cloned().collect();
    list::page(invoices, "/v1/invoices", params)
}

/// The payments of invoices: how a payment intent leads back to its invoice.
pub(super) fn list_payments(action: &Action, mut params: Params) -> Result<Value, Error> {
    let mut intent = None;
    if let Some(mut payment) = params.map("payment")? {
        payment.one_of("type", &["payment_intent"])?;
        intent = payment.text("payment_intent")?;
        payment.done()?;
    }
    let invoice = params.text("invoice")?;
    let wanted = |payment: &&Value| {
        let of = &payment["payment"]["payment_intent"];
        invoice.as_ref().is_none_or(|id| payment["invoice"] == id.as_str())
            && intent.as_ref().is_none_or(|id| of == id.as_str())
    };
    let payments = action.state.all("invoice_payment").rev().filter(wanted).cloned().collect();
    list::page(payments, "/v1/invoice_payments", params)
}

pub(super) fn pay(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let mut invoice = action.find("invoice", id)?;
    if invoice["status"] != "open" {
        return Err(Error::invalid("id", "Invoice is already paid"));
    }
    settle(action, &mut invoice, Card::Accepted);
    subscriptions::recover(action, &invoice);
    Ok(invoice)
}

/// An invoice about to be drawn up.
pub(super) struct Draft<'a> {
    pub(super) id: String,
    pub(super) subscription: &'a Value,
    pub(super) reason: &'static str,
    pub(super) lines: Vec<Value>,
    pub(super) period: (i64, i64),
}

/// Draws up an open invoice and, when there is something to pay, the intent to pay it.
pub(super) fn create(action: &mut Action, draft: Draft) -> Value {
    let Draft { id, subscription, reason, mut lines, period } = draft;
    for line in &mut lines {
        line["invoice"] = id.as_str().into();
    }
    let total: i64 = lines.iter().map(|line| integer(line, "amount")).sum();
    let number = action.state.all("invoice").count() + 1;
    let mut fields = json!({
        "id": id,
        "billing_reason": reason,
        "currency": subscription["currency"],
        "customer": subscription["customer"],
        "effective_at": action.now,
        "lines": list_of(&format!("/v1/invoices/{id}/lines"), lines),
        "number": format!("SIMULATE-{number:04}"),
        "parent": {
            "quote_details": null,
            "subscription_details": {
                "metadata": subscription["metadata"],
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        "period_start": period.0,
        "period_end": period.1,
        "status_transitions": {
            "finalized_at": action.now,
            "marked_uncollectible_at": null,
            "paid_at": null,
            "voided_at": null,
        },
    });
    for field in ["subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"] {
        fields[field] = total.into();
    }
    for field in ["amount_due", "amount_remaining"] {
        fields[field] = total.max(0).into();
    }
    if let Some(customer) = action.state.get("customer", text(subscription, "customer")) {
        for field in ["address", "email", "name", "phone", "tax_exempt"] {
            fields[format!("customer_{field}")] = customer[field].clone();
        }
    }
    let invoice = action.create("invoice", fields);
    action.emit("invoice.created", &invoice);
    if total > 0 {
        plan_payment(action, &invoice);
    }
    invoice
}

fn plan_payment(action: &mut Action, invoice: &Value) {
    let intent = payments::intend(
        action,
        json!({
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "description": "Subscription",
        }),
    );
    action.create(
        "invoice_payment",
        json!({
            "amount_requested": invoice["amount_due"],
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "payment": { "payment_intent": intent["id"], "type": "payment_intent" },
        }),
    );
}

/// Tries to collect an open invoice; true when it is paid.
pub(super) fn settle(action: &mut Action, invoice: &mut Value, card: Card) -> bool {
    let of_this = |payment: &&Value| payment["invoice"] == invoice["id"];
    let payment = action.state.all("invoice_payment").find(of_this).cloned();
    let intent = payment.as_ref().map(|payment| text(&payment["payment"], "payment_intent"));
    let intent = intent.and_then(|id| action.state.get("payment_intent", id)).cloned();
    let paid = intent.is_none_or(|mut intent| {
        payments::charge(action, &mut intent, card, &invoice["customer_email"])
    });
    let attempts = integer(invoice, "attempt_count") + i64::from(payment.is_some());
    merge(invoice, json!({ "attempted": true, "attempt_count": attempts }));
    if !paid {
        invoice["next_payment_attempt"] = (action.now + 3 * 24 * 3600).into();
        action.save(invoice);
        action.emit("invoice.payment_failed", invoice);
        return false;
    }
    if let Some(mut payment) = payment {
        payment["amount_paid"] = payment["amount_requested"].clone();
        payment["status"] = "paid".into();
        payment["status_transitions"]["paid_at"] = action.now.into();
        action.save(&payment);
    }
    invoice["status_transitions"]["paid_at"] = action.now.into();
    let amount = invoice["amount_due"].clone();
    let paid = json!({
        "amount_paid": amount,
        "amount_remaining": 0,
        "auto_advance": false,
        "next_payment_attempt": null,
        "status": "paid",
    });
    merge(invoice, paid);
    action.save(invoice);
    action.emit("invoice.paid", invoice);
    action.emit("invoice.payment_succeeded", invoice);
    true
}
