use serde_json::{Value, json};

use crate::stripe::{
    action::Action,
    customer_balance, discounts, payments,
    shape::{integer, list_of, merge, text},
};

/// How long the invoice of a renewal can be changed before it is sent.
const EDITABLE: i64 = 3600;

/// An invoice about to be drawn up.
pub(in crate::stripe) struct Draft<'a> {
    pub(in crate::stripe) id: String,
    pub(in crate::stripe) customer: &'a str,
    /// Null for what is bought once.
    pub(in crate::stripe) subscription: &'a Value,
    pub(in crate::stripe) reason: &'static str,
    pub(in crate::stripe) lines: Vec<Value>,
    pub(in crate::stripe) period: (i64, i64),
    /// Ids.
    pub(in crate::stripe) discounts: Value,
}

impl<'a> Draft<'a> {
    /// The invoice that `subscription` names as its latest.
    pub(in crate::stripe) fn of(
        subscription: &'a Value,
        reason: &'static str,
        lines: Vec<Value>,
        period: (i64, i64),
    ) -> Self {
        Self {
            id: text(subscription, "latest_invoice").to_owned(),
            customer: text(subscription, "customer"),
            subscription,
            reason,
            lines,
            period,
            discounts: subscription["discounts"].clone(),
        }
    }
}

/// What the invoice would be, without making it.
pub(in crate::stripe) fn compose(action: &mut Action, draft: Draft) -> Value {
    let Draft { id, customer, subscription, reason, mut lines, period, discounts } = draft;
    let currency = lines.first().unwrap_or(subscription)["currency"].clone();
    let ids = discounts.as_array().cloned().unwrap_or_default();
    let off = discounts::apply(action, &ids, &mut lines, currency.as_str().unwrap_or_default());
    for line in &mut lines {
        line["invoice"] = id.as_str().into();
        line["subscription"] = subscription["id"].clone();
    }
    let subtotal: i64 = lines.iter().map(|line| integer(line, "amount")).sum();
    let total = subtotal - off.iter().map(|off| integer(off, "amount")).sum::<i64>();
    let parent = subscription["id"].as_str().map(|id| {
        json!({
            "quote_details": null,
            "subscription_details": { "metadata": subscription["metadata"], "subscription": id },
            "type": "subscription_details",
        })
    });
    let mut fields = json!({
        "id": id,
        "automatic_tax": automatic_tax(subscription),
        "billing_reason": reason,
        "currency": currency,
        "customer": customer,
        "description": subscription["description"],
        "discounts": ids,
        "lines": list_of(&format!("/v1/invoices/{id}/lines"), lines),
        "parent": parent,
        "period_end": period.1,
        "period_start": period.0,
        "status": "draft",
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": total,
        "total_discount_amounts": off,
        "total_excluding_tax": total,
    });
    let due = due(action, customer, &fields["parent"], total);
    merge(&mut fields, due);
    merge(&mut fields, addressee(action, customer));
    action.shape("invoice", fields)
}

/// What is left to pay of a total after the customer's credit, or added to the credit. What is bought once, in a
/// checkout, is paid in full.
fn due(action: &Action, customer: &str, parent: &Value, total: i64) -> Value {
    let customer = action.state.get("customer", customer).filter(|_| !parent.is_null());
    let balance = customer.map_or(0, |customer| integer(customer, "balance"));
    let due = (total + balance).max(0);
    json!({
        "amount_due": due,
        "amount_remaining": due,
        "ending_balance": null,
        "starting_balance": balance,
    })
}

/// What an invoice repeats about its customer.
fn addressee(action: &Action, customer: &str) -> Value {
    let Some(known) = action.state.get("customer", customer) else { return json!({}) };
    let own = |tax_id: &&Value| tax_id["customer"] == customer && tax_id["deleted"] != true;
    let tax_ids: Vec<Value> = action
        .state
        .all("tax_id")
        .filter(own)
        .map(|tax_id| json!({ "type": tax_id["type"], "value": tax_id["value"] }))
        .collect();
    let settings = &known["invoice_settings"];
    json!({
        "customer_address": known["address"],
        "customer_email": known["email"],
        "customer_name": known["name"],
        "customer_phone": known["phone"],
        "customer_tax_exempt": known["tax_exempt"],
        "customer_tax_ids": tax_ids,
        "custom_fields": settings["custom_fields"],
        "footer": settings["footer"],
    })
}

/// Taxes are not simulated: nothing is due where they are asked for.
fn automatic_tax(subscription: &Value) -> Value {
    let enabled = subscription["automatic_tax"]["enabled"] == true;
    json!({
        "disabled_reason": null,
        "enabled": enabled,
        "liability": enabled.then(|| json!({ "type": "self" })),
        "provider": enabled.then_some("stripe"),
        "status": enabled.then_some("complete"),
    })
}

/// Draws up an invoice, which can still be changed for an hour.
pub(in crate::stripe) fn create(action: &mut Action, draft: Draft) -> Value {
    let mut invoice = compose(action, draft);
    invoice["automatically_finalizes_at"] = (action.now + EDITABLE).into();
    action.save(&invoice);
    action.emit("invoice.created", &invoice);
    invoice
}

/// Sends an invoice: it gets its number, uses the customer's credit and, when something is left to pay, the
/// intent to pay it.
pub(in crate::stripe) fn finalize(action: &mut Action, invoice: &mut Value) {
    let id = text(invoice, "id").to_owned();
    let customer = text(invoice, "customer").to_owned();
    let due = due(action, &customer, &invoice["parent"], integer(invoice, "total"));
    merge(invoice, due);
    let (due, total) = (integer(invoice, "amount_due"), integer(invoice, "total"));
    let used = due - total;
    if used != 0 {
        let fields = json!({ "currency": invoice["currency"], "invoice": id, "metadata": {} });
        customer_balance::change(action, &customer, "applied_to_invoice", -used, fields);
    }
    let number = next_number(action, &customer);
    let url = &action.origin.base_url;
    let fields = json!({
        "automatically_finalizes_at": null,
        "effective_at": action.now,
        "ending_balance": integer(invoice, "starting_balance") - used,
        "hosted_invoice_url": format!("{url}/invoices/{id}"),
        "invoice_pdf": format!("{url}/invoices/{id}/pdf"),
        "number": number,
        "status": "open",
    });
    merge(invoice, fields);
    invoice["status_transitions"]["finalized_at"] = action.now.into();
    action.save(invoice);
    action.emit("invoice.finalized", invoice);
    if due > 0 {
        plan_payment(action, invoice);
    }
}

/// Invoices are numbered per customer.
fn next_number(action: &mut Action, customer: &str) -> String {
    let Some(mut customer) = action.state.get("customer", customer).cloned() else {
        return "SIMULATE-0000".to_owned();
    };
    let number = integer(&customer, "next_invoice_sequence");
    customer["next_invoice_sequence"] = (number + 1).into();
    action.save(&customer);
    format!("{}-{number:04}", text(&customer, "invoice_prefix"))
}

fn plan_payment(action: &mut Action, invoice: &Value) {
    let intent = payments::intend(
        action,
        json!({
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "description": if invoice["parent"].is_null() { "Invoice" } else { "Subscription" },
            "metadata": {},
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
