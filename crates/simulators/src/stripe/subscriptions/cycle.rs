use serde_json::Value;

use super::{bill, end, first_period, running};
use crate::stripe::{
    action::Action,
    dunning::Dunning,
    error::Error,
    invoices, items,
    payment_methods::{self, Card},
    period, schedules,
    shape::{integer, text},
};

/// Begins a subscription's next period, or ends it if that was wished. The invoice that follows is a draft.
pub(in crate::stripe) fn turn(action: &mut Action, before: &Value) -> (Value, Option<Value>) {
    let id = text(before, "id").to_owned();
    let (_, ends) = first_period(before);
    let mut lines = usage_lines(action, before);
    let over = before["cancel_at"].as_i64().is_some_and(|at| at <= ends);
    if over || before["cancel_at_period_end"] == true {
        lines.retain(|line| integer(line, "amount") > 0);
        return end_with(action, before.clone(), lines);
    }
    let mut after = before.clone();
    if before["status"] == "trialing" {
        after["status"] = "active".into();
        match without_means(action, before) {
            Some("cancel") => return end_with(action, after, Vec::new()),
            Some("pause") => return (end::pause(action, before, after), None),
            _ => {}
        }
    }
    if schedules::take_effect(action, &mut after, ends) {
        return end_with(action, after, lines);
    }
    let anchor = integer(&after, "billing_cycle_anchor");
    lines.splice(0..0, action.state.prorations.remove(&id).unwrap_or_default());
    for item in after["items"]["data"].as_array_mut().into_iter().flatten() {
        let start = items::period(item).1.max(ends);
        items::set_period(item, (start, period::end(&item["price"]["recurring"], anchor, start)));
        lines.extend(items::line(action, item));
    }
    let mut invoice = bill(action, &mut after, "subscription_cycle", lines, first_period(before));
    action.update("customer.subscription.updated", before, &after);
    hold_back(action, &after, &mut invoice);
    (after, Some(invoice))
}

fn usage_lines(action: &mut Action, subscription: &Value) -> Vec<Value> {
    let customer = text(subscription, "customer");
    let items = subscription["items"]["data"].as_array().into_iter().flatten();
    items.filter_map(|item| items::usage_line(action, item, customer)).collect()
}

/// Ends a subscription whose last usage may still have to be paid.
fn end_with(
    action: &mut Action,
    mut subscription: Value,
    lines: Vec<Value>,
) -> (Value, Option<Value>) {
    let period = first_period(&subscription);
    let invoice = (!lines.is_empty())
        .then(|| bill(action, &mut subscription, "subscription_cycle", lines, period));
    (end::end(action, subscription, "cancellation_requested"), invoice)
}

/// What a trial that ends without a payment method leads to, when it does.
fn without_means<'a>(action: &Action, subscription: &'a Value) -> Option<&'a str> {
    let customer = text(subscription, "customer");
    let means = payment_methods::default_of(action.state, subscription, customer);
    let behavior = &subscription["trial_settings"]["end_behavior"]["missing_payment_method"];
    if means.is_some() { None } else { behavior.as_str() }
}

/// Invoices of paused or unpaid subscriptions are not collected.
fn hold_back(action: &mut Action, subscription: &Value, invoice: &mut Value) {
    let paused = subscription["pause_collection"]["behavior"].as_str();
    match paused {
        None if subscription["status"] != "unpaid" => {}
        None | Some("keep_as_draft") => {
            invoice["auto_advance"] = false.into();
            invoice["automatically_finalizes_at"] = Value::Null;
            action.save(invoice);
        }
        Some("void") => {
            invoices::open(action, invoice);
            invoices::close(action, invoice, "void", "voided_at");
            action.emit("invoice.voided", invoice);
        }
        Some(_) => {
            invoices::open(action, invoice);
            invoices::close(action, invoice, "uncollectible", "marked_uncollectible_at");
            action.emit("invoice.marked_uncollectible", invoice);
        }
    }
}

/// Moves a subscription to its next period at once, paying for it with `card`.
pub(in crate::stripe) fn advance(
    action: &mut Action,
    id: &str,
    card: Card,
) -> Result<Value, Error> {
    let before = running(action, id)?;
    let (after, invoice) = turn(action, &before);
    let Some(mut invoice) = invoice.filter(|invoice| invoice["auto_advance"] == true) else {
        return Ok(after);
    };
    let method = payment_methods::add(action, text(&after, "customer"), card);
    invoices::settle_with(action, &mut invoice, Some(&method));
    action.find("subscription", id)
}

/// What an attempt to collect an invoice means for its subscription.
pub(in crate::stripe) fn after_payment(action: &mut Action, invoice: &Value, paid: bool) {
    let id = text(&invoice["parent"]["subscription_details"], "subscription");
    let Some(before) = action.state.get("subscription", id).cloned() else { return };
    let status = text(&before, "status");
    let settled = paid && !owes_later(action, invoice);
    let exhausted = !paid && invoice["next_payment_attempt"].is_null();
    let next = match status {
        "past_due" | "unpaid" | "incomplete" if settled => "active",
        "active" if !paid => "past_due",
        "past_due" if exhausted => match action.state.dunning {
            Dunning::Cancel => {
                end::end(action, before, "payment_failed");
                return;
            }
            Dunning::Unpaid => "unpaid",
            Dunning::PastDue => return,
        },
        _ => return,
    };
    let mut after = before.clone();
    after["status"] = next.into();
    action.update("customer.subscription.updated", &before, &after);
}

/// Whether a later invoice of the same subscription is still to be paid: then paying this one settles nothing.
fn owes_later(action: &Action, invoice: &Value) -> bool {
    let of = |invoice: &Value| invoice["parent"]["subscription_details"]["subscription"].clone();
    let (subscription, created) = (of(invoice), integer(invoice, "created"));
    let mut later = action.state.all("invoice").filter(|it| {
        it["id"] != invoice["id"] && of(it) == subscription && integer(it, "created") > created
    });
    later.any(|it| matches!(text(it, "status"), "draft" | "open"))
}
