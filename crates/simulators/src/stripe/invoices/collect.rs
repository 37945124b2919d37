use serde_json::{Value, json};

use super::draft;
use crate::stripe::{
    action::Action,
    payment_methods, payments,
    shape::{integer, merge, text},
    subscriptions,
};

const DAY: i64 = 24 * 3600;

/// Days until the next attempt after each that failed; then the customer's subscription has failed.
const RETRIES: [i64; 3] = [3, 5, 7];

/// Finalizes an invoice and collects it from the customer's payment method.
pub(in crate::stripe) fn settle(action: &mut Action, invoice: &mut Value) -> bool {
    let method = default_method(action, invoice);
    settle_with(action, invoice, method.as_ref())
}

/// The same with a payment method of its own; true when it is paid.
pub(in crate::stripe) fn settle_with(
    action: &mut Action,
    invoice: &mut Value,
    method: Option<&Value>,
) -> bool {
    if invoice["status"] == "draft" {
        draft::finalize(action, invoice);
    }
    collect(action, invoice, method)
}

/// What the customer pays this invoice with.
pub(in crate::stripe) fn default_method(action: &Action, invoice: &Value) -> Option<Value> {
    let subscription = text(&invoice["parent"]["subscription_details"], "subscription");
    let subscription = action.state.get("subscription", subscription).unwrap_or(&Value::Null);
    let customer = text(invoice, "customer");
    let id = payment_methods::default_of(action.state, subscription, customer)?;
    action.state.get("payment_method", &id).cloned()
}

/// Tries to collect an open invoice; true when it is paid.
fn collect(action: &mut Action, invoice: &mut Value, method: Option<&Value>) -> bool {
    let payment = payment_of(action, invoice);
    let paid = match (super::intent_of(action, invoice), method) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(mut intent), Some(method)) => {
            payments::charge(action, &mut intent, method, &invoice["customer_email"])
        }
    };
    let attempts = integer(invoice, "attempt_count") + i64::from(payment.is_some());
    merge(invoice, json!({ "attempted": true, "attempt_count": attempts }));
    if paid {
        let amount = invoice["amount_due"].clone();
        mark_paid(action, invoice, payment, amount);
    } else {
        let failures = usize::try_from(attempts).unwrap_or(1).saturating_sub(1);
        let next = RETRIES.get(failures).map(|days| action.now + days * DAY);
        invoice["next_payment_attempt"] = next.into();
        action.save(invoice);
        action.emit("invoice.payment_failed", invoice);
    }
    subscriptions::after_payment(action, invoice, paid);
    paid
}

/// What collects the invoice.
pub(in crate::stripe) fn payment_of(action: &Action, invoice: &Value) -> Option<Value> {
    let mut payments = action.state.all("invoice_payment");
    payments.find(|payment| payment["invoice"] == invoice["id"]).cloned()
}

/// Notes that an invoice is paid, with `amount` of money.
pub(in crate::stripe) fn mark_paid(
    action: &mut Action,
    invoice: &mut Value,
    payment: Option<Value>,
    amount: Value,
) {
    if let Some(mut payment) = payment {
        payment["amount_paid"] = amount.clone();
        payment["status"] = "paid".into();
        payment["status_transitions"]["paid_at"] = action.now.into();
        action.save(&payment);
        action.emit("invoice_payment.paid", &payment);
    }
    invoice["status_transitions"]["paid_at"] = action.now.into();
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
}
