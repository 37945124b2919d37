//! Subscriptions: started, changed, renewed, ended.

mod change;
mod cycle;
mod end;
mod item_change;
mod settings;
mod start;

use serde_json::Value;

pub(super) use self::{
    change::{Asked, update},
    cycle::{advance, after_payment, turn},
    end::{cancel, end, give_up, resume, resumes_at, unpause},
    settings::{read_trial, read_trial_settings},
    start::{Start, create, start},
};
use super::{
    action::Action,
    discounts,
    error::Error,
    form::Params,
    invoices::{self, Draft},
    items, list,
    shape::text,
};

/// Lists subscriptions, those that ended only when asked for by `status`.
pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let status = params.text("status")?;
    let customer = params.text("customer")?;
    let price = params.text("price")?;
    let wanted = |subscription: &&Value| {
        let is = text(subscription, "status");
        let status = match status.as_deref() {
            None => is != "canceled",
            Some("all") => true,
            Some("ended") => matches!(is, "canceled" | "incomplete_expired"),
            Some(status) => is == status,
        };
        let mut items = subscription["items"]["data"].as_array().into_iter().flatten();
        status
            && customer.as_ref().is_none_or(|id| subscription["customer"] == id.as_str())
            && price.as_ref().is_none_or(|id| items.any(|item| item["price"]["id"] == id.as_str()))
    };
    let found = action.state.all("subscription").rev().filter(wanted).cloned().collect();
    list::page(found, "/v1/subscriptions", params)
}

/// Lists the items of a subscription.
pub(super) fn list_items(action: &Action, mut params: Params) -> Result<Value, Error> {
    let id = params.required("subscription")?;
    let subscription = action.refer("subscription", &id, "subscription")?;
    let items = subscription["items"]["data"].as_array().cloned().unwrap_or_default();
    list::page(items, "/v1/subscription_items", params)
}

/// The subscription, unless it ended: Stripe then acts as if there were none.
fn running(action: &mut Action, id: &str) -> Result<Value, Error> {
    let subscription = action.find("subscription", id)?;
    if has_ended(&subscription) {
        return Err(Error::not_found("subscription", id));
    }
    action.live_by(text(&subscription, "customer"));
    Ok(subscription)
}

pub(super) fn has_ended(subscription: &Value) -> bool {
    matches!(text(subscription, "status"), "canceled" | "incomplete_expired")
}

pub(super) fn first_period(subscription: &Value) -> (i64, i64) {
    items::period(&subscription["items"]["data"][0])
}

fn discounts_of(subscription: &Value) -> Vec<Value> {
    subscription["discounts"].as_array().cloned().unwrap_or_default()
}

/// Draws up the subscription's next invoice, which uses up discounts that count once.
fn bill(
    action: &mut Action,
    subscription: &mut Value,
    reason: &'static str,
    lines: Vec<Value>,
    period: (i64, i64),
) -> Value {
    subscription["latest_invoice"] = action.state.next_id("in").into();
    let invoice = invoices::create(action, Draft::of(subscription, reason, lines, period));
    let taken = invoice["total_discount_amounts"].as_array().cloned().unwrap_or_default();
    subscription["discounts"] =
        discounts::remaining(action, &subscription["discounts"].clone(), &taken);
    invoice
}
