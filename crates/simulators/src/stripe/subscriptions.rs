use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    invoices::{self, Draft},
    items::{self, Bought},
    list,
    payments::Card,
    period,
    shape::{integer, list_of, merge, text},
};

const DAY: i64 = 24 * 3600;

/// Lists subscriptions, those that ended only when asked for by `status`.
pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let status = params.text("status")?;
    let customer = params.text("customer")?;
    let wanted = |subscription: &&Value| {
        let is = text(subscription, "status");
        let status = match status.as_deref() {
            None => is != "canceled",
            Some("all") => true,
            Some(status) => is == status,
        };
        status && customer.as_ref().is_none_or(|id| subscription["customer"] == id.as_str())
    };
    let found = action.state.all("subscription").rev().filter(wanted).cloned().collect();
    list::page(found, "/v1/subscriptions", params)
}

/// Starts a subscription to what was bought and collects its first invoice.
pub(super) fn start(
    action: &mut Action,
    customer: &str,
    bought: &[Bought],
    data: &Value,
) -> (Value, Value) {
    let now = action.now;
    let trial_days = integer(data, "trial_period_days");
    let trial_end = (trial_days > 0).then_some(now + trial_days * DAY);
    let fields = json!({
        "billing_cycle_anchor": trial_end.unwrap_or(now),
        "currency": bought.first().map(|bought| bought.price["currency"].clone()),
        "customer": customer,
        "description": data["description"],
        "latest_invoice": action.state.next_id("in"),
        "metadata": data["metadata"],
        "start_date": now,
        "status": if trial_end.is_some() { "trialing" } else { "active" },
        "trial_end": trial_end,
        "trial_start": trial_end.map(|_| now),
    });
    let mut subscription = action.shape("subscription", fields);
    let id = text(&subscription, "id").to_owned();
    let (mut own, mut lines) = (Vec::new(), Vec::new());
    for bought in bought {
        let recurring = &bought.price["recurring"];
        if recurring.is_null() {
            lines.push(items::line_once(action, bought));
            continue;
        }
        let end = trial_end.unwrap_or_else(|| period::end(recurring, now, now));
        let item = items::make(action, &id, bought, end);
        let mut line = items::line(action, &item);
        if trial_end.is_some() {
            merge(&mut line, json!({ "amount": 0, "subtotal": 0, "description": "Free trial" }));
        }
        lines.push(line);
        own.push(item);
    }
    subscription["items"] = list_of(&format!("/v1/subscription_items?subscription={id}"), own);
    action.save(&subscription);
    action.emit("customer.subscription.created", &subscription);
    let mut invoice = bill(action, &subscription, "subscription_create", lines, (now, now));
    invoices::settle(action, &mut invoice, Card::Accepted);
    (subscription, invoice)
}

/// Draws up the invoice that the subscription names as its latest.
fn bill(
    action: &mut Action,
    subscription: &Value,
    reason: &'static str,
    lines: Vec<Value>,
    period: (i64, i64),
) -> Value {
    let id = text(subscription, "latest_invoice").to_owned();
    invoices::create(action, Draft { id, subscription, reason, lines, period })
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = running(action, id)?;
    let mut after = before.clone();
    params.copy_texts(&mut after, &["description"])?;
    params.copy_metadata(&mut after)?;
    if let Some(at_period_end) = params.flag("cancel_at_period_end")? {
        schedule_end(&mut after, at_period_end, action.now);
    }
    let behaviors = ["always_invoice", "create_prorations", "none"];
    let prorate = params.one_of("proration_behavior", &behaviors)?;
    let prorate = prorate.as_deref().unwrap_or("create_prorations");
    let changes = params.maps("items")?;
    params.done()?;
    let lines = change_items(action, &mut after, changes)?;
    let invoice = charge_change(action, &before, &mut after, lines, prorate);
    action.update("customer.subscription.updated", &before, &after);
    if let Some(mut invoice) = invoice {
        invoices::settle(action, &mut invoice, Card::Accepted);
    }
    Ok(after)
}

fn change_items(
    action: &mut Action,
    subscription: &mut Value,
    changes: Vec<Params>,
) -> Result<Vec<Value>, Error> {
    let mut lines = Vec::new();
    for mut change in changes {
        let param = change.name("id");
        let id = change.required("id")?;
        let items = subscription["items"]["data"].as_array_mut();
        let item = items.and_then(|items| items.iter_mut().find(|item| item["id"] == id.as_str()));
        let item = item.ok_or_else(|| Error::no_such("subscription_item", &id, &param))?;
        lines.extend(items::change(action, item, change)?);
    }
    Ok(lines)
}

/// Bills a change of items now or with the next invoice.
///
/// A new interval starts a new period, which is billed at once; otherwise the caller decides.
fn charge_change(
    action: &mut Action,
    before: &Value,
    after: &mut Value,
    mut lines: Vec<Value>,
    prorate: &str,
) -> Option<Value> {
    let restarted = first_period(before) != first_period(after);
    if prorate == "none" {
        lines.retain(|line| line["parent"]["subscription_item_details"]["proration"] == false);
    }
    let total: i64 = lines.iter().map(|line| integer(line, "amount")).sum();
    if restarted {
        after["billing_cycle_anchor"] = action.now.into();
    }
    if restarted || (prorate == "always_invoice" && total > 0) {
        after["latest_invoice"] = action.state.next_id("in").into();
        let period = (action.now, action.now);
        return Some(bill(action, after, "subscription_update", lines, period));
    }
    let id = text(after, "id").to_owned();
    action.state.prorations.entry(id).or_default().extend(lines);
    None
}

fn schedule_end(subscription: &mut Value, at_period_end: bool, now: i64) {
    let (_, end) = first_period(subscription);
    let (cancel_at, canceled_at, reason) = if at_period_end {
        (Some(end), Some(now), Some("cancellation_requested"))
    } else {
        (None, None, None)
    };
    subscription["cancel_at_period_end"] = at_period_end.into();
    subscription["cancel_at"] = cancel_at.into();
    subscription["canceled_at"] = canceled_at.into();
    subscription["cancellation_details"]["reason"] = reason.into();
}

pub(super) fn cancel(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let mut subscription = running(action, id)?;
    if let Some(mut details) = params.map("cancellation_details")? {
        details.copy_texts(&mut subscription["cancellation_details"], &["comment", "feedback"])?;
        details.done()?;
    }
    params.done()?;
    Ok(end(action, subscription))
}

/// Ends a subscription now.
pub(super) fn end(action: &mut Action, mut subscription: Value) -> Value {
    let canceled_at = subscription["canceled_at"].as_i64().unwrap_or(action.now);
    subscription["canceled_at"] = canceled_at.into();
    subscription["cancellation_details"]["reason"] = "cancellation_requested".into();
    subscription["ended_at"] = action.now.into();
    subscription["status"] = "canceled".into();
    action.save(&subscription);
    action.emit("customer.subscription.deleted", &subscription);
    subscription
}

/// Moves a subscription to its next period: renewed on `card`, or ended if that was wished.
pub(super) fn advance(action: &mut Action, id: &str, card: Card) -> Result<Value, Error> {
    let before = running(action, id)?;
    if before["cancel_at_period_end"] == true {
        return Ok(end(action, before));
    }
    let mut after = before.clone();
    let anchor = integer(&before, "billing_cycle_anchor");
    let mut lines = action.state.prorations.remove(id).unwrap_or_default();
    for item in after["items"]["data"].as_array_mut().into_iter().flatten() {
        let (_, start) = items::period(item);
        let end = period::end(&item["price"]["recurring"], anchor, start);
        items::set_period(item, (start, end));
        lines.push(items::line(action, item));
    }
    after["latest_invoice"] = action.state.next_id("in").into();
    let mut invoice = bill(action, &after, "subscription_cycle", lines, first_period(&before));
    let paid = invoices::settle(action, &mut invoice, card);
    after["status"] = if paid { "active" } else { "past_due" }.into();
    action.update("customer.subscription.updated", &before, &after);
    Ok(after)
}

/// Makes a subscription active again once its open invoice is paid.
pub(super) fn recover(action: &mut Action, invoice: &Value) {
    let id = text(&invoice["parent"]["subscription_details"], "subscription");
    let Some(before) = action.state.get("subscription", id).cloned() else { return };
    if before["status"] == "past_due" && before["latest_invoice"] == invoice["id"] {
        let mut after = before.clone();
        after["status"] = "active".into();
        action.update("customer.subscription.updated", &before, &after);
    }
}

/// The subscription, unless it ended: Stripe then acts as if there were none.
fn running(action: &Action, id: &str) -> Result<Value, Error> {
    let subscription = action.find("subscription", id)?;
    if subscription["status"] == "canceled" {
        return Err(Error::not_found("subscription", id));
    }
    Ok(subscription)
}

fn first_period(subscription: &Value) -> (i64, i64) {
    items::period(&subscription["items"]["data"][0])
}
