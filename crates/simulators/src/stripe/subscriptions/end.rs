use serde_json::Value;

use super::{bill, discounts_of, first_period, running};
use crate::stripe::{
    action::Action,
    error::Error,
    form::Params,
    invoices,
    items::{self, Change},
    period, schedules,
    shape::{integer, text},
};

pub(in crate::stripe) fn cancel(
    action: &mut Action,
    id: &str,
    mut params: Params,
) -> Result<Value, Error> {
    let mut subscription = running(action, id)?;
    if let Some(mut details) = params.map("cancellation_details")? {
        details.copy_texts(&mut subscription["cancellation_details"], &["comment", "feedback"])?;
        details.done()?;
    }
    let prorate = params.flag("prorate")?.unwrap_or(false);
    let invoice_now = params.flag("invoice_now")?.unwrap_or(false);
    params.done()?;
    if invoice_now {
        bill_the_end(action, &mut subscription, prorate);
    }
    Ok(end(action, subscription, "cancellation_requested"))
}

/// A last invoice of what was used and of what waited, less what was paid for and is not used.
fn bill_the_end(action: &mut Action, subscription: &mut Value, prorate: bool) {
    let (id, customer) = (text(subscription, "id"), text(subscription, "customer"));
    let mut lines = action.state.prorations.remove(id).unwrap_or_default();
    let discounts = discounts_of(subscription);
    let change = Change { at: action.now, charged: prorate, discounts: &discounts };
    for item in subscription["items"]["data"].as_array().into_iter().flatten() {
        lines.extend(items::usage_line(action, item, customer));
        lines.extend(change.end(action, item));
    }
    if lines.is_empty() {
        return;
    }
    let period = (first_period(subscription).0, action.now);
    let mut invoice = bill(action, subscription, "manual", lines, period);
    invoices::settle(action, &mut invoice);
}

/// Ends a subscription now.
pub(in crate::stripe) fn end(action: &mut Action, mut subscription: Value, reason: &str) -> Value {
    let canceled_at = subscription["canceled_at"].as_i64().unwrap_or(action.now);
    subscription["canceled_at"] = canceled_at.into();
    subscription["cancellation_details"]["reason"] = reason.into();
    subscription["ended_at"] = action.now.into();
    subscription["status"] = "canceled".into();
    action.state.prorations.remove(text(&subscription, "id"));
    stop_collecting(action, text(&subscription, "id"));
    schedules::end(action, &subscription);
    action.save(&subscription);
    action.emit("customer.subscription.deleted", &subscription);
    subscription
}

/// What is still open of a subscription that ended is not tried again by itself.
fn stop_collecting(action: &mut Action, subscription: &str) {
    let open = |invoice: &&Value| {
        let of = &invoice["parent"]["subscription_details"]["subscription"];
        of == subscription && invoice["status"] == "open"
    };
    let invoices: Vec<Value> = action.state.all("invoice").filter(open).cloned().collect();
    for mut invoice in invoices {
        invoice["auto_advance"] = false.into();
        invoice["next_payment_attempt"] = Value::Null;
        action.save(&invoice);
    }
}

/// Ends a subscription whose first invoice nobody paid.
pub(in crate::stripe) fn give_up(action: &mut Action, before: &Value) {
    let mut after = before.clone();
    after["status"] = "incomplete_expired".into();
    after["ended_at"] = action.now.into();
    if let Some(mut invoice) = action.state.get("invoice", text(before, "latest_invoice")).cloned()
    {
        invoices::close(action, &mut invoice, "void", "voided_at");
        action.emit("invoice.voided", &invoice);
    }
    action.update("customer.subscription.updated", before, &after);
}

/// Stops a subscription whose trial ended without a payment method.
pub(super) fn pause(action: &mut Action, before: &Value, mut after: Value) -> Value {
    after["status"] = "paused".into();
    action.update("customer.subscription.updated", before, &after);
    action.emit("customer.subscription.paused", &after);
    after
}

/// Makes a paused subscription go on: a new period begins and is billed.
pub(in crate::stripe) fn resume(
    action: &mut Action,
    id: &str,
    mut params: Params,
) -> Result<Value, Error> {
    let before = running(action, id)?;
    params.one_of("billing_cycle_anchor", &["now"])?;
    params.one_of("proration_behavior", &["always_invoice", "create_prorations", "none"])?;
    params.done()?;
    if before["status"] != "paused" {
        return Err(Error::invalid("id", "This subscription is not paused."));
    }
    let (mut after, now) = (before.clone(), action.now);
    after["status"] = "active".into();
    after["billing_cycle_anchor"] = now.into();
    let mut lines = Vec::new();
    for item in after["items"]["data"].as_array_mut().into_iter().flatten() {
        items::set_period(item, (now, period::end(&item["price"]["recurring"], now, now)));
        lines.extend(items::line(action, item));
    }
    let mut invoice = bill(action, &mut after, "subscription_update", lines, (now, now));
    action.update("customer.subscription.updated", &before, &after);
    action.emit("customer.subscription.resumed", &after);
    invoices::settle(action, &mut invoice);
    action.find("subscription", id)
}

/// Collects again, once the time has come.
pub(in crate::stripe) fn unpause(action: &mut Action, before: &Value) {
    let mut after = before.clone();
    after["pause_collection"] = Value::Null;
    action.update("customer.subscription.updated", before, &after);
}

/// When collection is resumed by itself.
pub(in crate::stripe) fn resumes_at(subscription: &Value) -> Option<i64> {
    Some(integer(&subscription["pause_collection"], "resumes_at")).filter(|at| *at > 0)
}
