use serde_json::{Value, json};

use super::{bill, discounts_of, first_period, item_change::ItemAsked, running, settings};
use crate::stripe::{
    action::Action,
    discounts,
    error::Error,
    form::Params,
    invoice_lines::is_proration,
    invoices,
    items::{self, Bought, Change},
    period,
    shape::{integer, text},
};

/// A change of what a subscription is for, as a call asks for it.
pub(in crate::stripe) struct Asked {
    items: Vec<ItemAsked>,
    trial_end: Option<TrialEnd>,
    /// Whether a new period begins now.
    restart: bool,
    /// `always_invoice`, `create_prorations` or `none`.
    pub(in crate::stripe) prorate: String,
    /// From when on the change counts.
    at: i64,
    discounts: Option<Vec<discounts::Asked>>,
}

/// When a trial is to end.
#[derive(Clone, Copy)]
enum TrialEnd {
    Now,
    At(i64),
}

impl Asked {
    pub(in crate::stripe) fn read(action: &Action, params: &mut Params) -> Result<Self, Error> {
        let behaviors = ["always_invoice", "create_prorations", "none"];
        let prorate = params.one_of("proration_behavior", &behaviors)?;
        let ends_now = params.name("trial_end");
        let trial_end = match params.time("trial_end", action.now)? {
            Some(end) if end == action.now => Some(TrialEnd::Now),
            Some(end) if end < action.now => {
                return Err(Error::invalid(&ends_now, "This must be in the future."));
            }
            end => end.map(TrialEnd::At),
        };
        let anchor = params.one_of("billing_cycle_anchor", &["now", "unchanged"])?;
        Ok(Self {
            items: params
                .maps("items")?
                .into_iter()
                .map(|item| ItemAsked::read(action, item))
                .collect::<Result<_, _>>()?,
            trial_end,
            restart: anchor.as_deref() == Some("now"),
            prorate: prorate.unwrap_or_else(|| "create_prorations".to_owned()),
            at: params.integer("proration_date")?.unwrap_or(action.now),
            discounts: discounts::read(params)?,
        })
    }

    /// Changes the subscription; the lines that follow come back, and whether they are billed at once.
    pub(in crate::stripe) fn apply(
        &self,
        action: &mut Action,
        subscription: &mut Value,
    ) -> Result<(Vec<Value>, bool), Error> {
        if let Some(asked) = &self.discounts {
            set_discounts(action, subscription, asked)?;
        }
        let before = first_period(subscription);
        let ends_trial = self.set_trial(action, subscription);
        let trialing = subscription["status"] == "trialing";
        let discounts = discounts_of(subscription);
        let charged = !trialing && !ends_trial;
        let change = Change { at: self.at, charged, discounts: &discounts };
        let mut lines = self.change_items(action, subscription, change)?;
        if ends_trial || (self.restart && !trialing) {
            lines.extend(restart(action, subscription, change));
        }
        if self.prorate == "none" {
            lines.retain(|line| !is_proration(line));
        }
        let restarted = before != first_period(subscription) && !trialing;
        if restarted {
            subscription["billing_cycle_anchor"] = action.now.into();
        }
        let now = restarted || (self.prorate == "always_invoice" && !lines.is_empty());
        Ok((lines, now))
    }

    /// True when the trial is over by this.
    fn set_trial(&self, action: &Action, subscription: &mut Value) -> bool {
        let Some(end) = self.trial_end else { return false };
        let trialing = subscription["status"] == "trialing";
        let TrialEnd::At(end) = end else {
            if trialing {
                subscription["status"] = "active".into();
                subscription["trial_end"] = action.now.into();
            }
            return trialing;
        };
        subscription["status"] = "trialing".into();
        subscription["trial_end"] = end.into();
        if subscription["trial_start"].is_null() {
            subscription["trial_start"] = action.now.into();
        }
        subscription["billing_cycle_anchor"] = end.into();
        for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
            let (start, _) = items::period(item);
            items::set_period(item, (start, end));
        }
        false
    }

    fn change_items(
        &self,
        action: &mut Action,
        subscription: &mut Value,
        change: Change,
    ) -> Result<Vec<Value>, Error> {
        let mut lines = Vec::new();
        let (id, period) = (text(subscription, "id").to_owned(), first_period(subscription));
        let Some(all) = subscription["items"]["data"].as_array_mut() else { return Ok(lines) };
        for asked in &self.items {
            let Some(own) = &asked.id else {
                let item = asked.bought(None)?.item(action, &id, (change.at, period.1));
                // Within the period of the others, of which it costs a part.
                let mut whole = item.clone();
                items::set_period(&mut whole, period);
                lines.extend(change.begin(action, &whole));
                all.push(item);
                continue;
            };
            let index = all.iter().position(|item| item["id"] == own.as_str());
            let index = index.ok_or_else(|| Error::no_such("subscription_item", own, "items"))?;
            if asked.deleted {
                lines.extend(change.end(action, &all.remove(index)));
                continue;
            }
            let item = &mut all[index];
            let new = asked.bought(Some(&Bought::of(item)))?;
            lines.extend(change.replace(action, item, &new));
        }
        if all.is_empty() {
            return Err(Error::invalid("items", "A subscription must have at least one item."));
        }
        Ok(lines)
    }
}

fn set_discounts(
    action: &mut Action,
    subscription: &mut Value,
    asked: &[discounts::Asked],
) -> Result<(), Error> {
    let (id, customer) = (text(subscription, "id"), text(subscription, "customer"));
    let items = subscription["items"]["data"].as_array().into_iter().flatten();
    let amount = items.map(|item| Bought::of(item).amount()).sum();
    let mut ids = Vec::new();
    for asked in asked {
        let fields = json!({ "subscription": id });
        ids.push(asked.redeem(action, customer, amount, fields)?);
    }
    subscription["discounts"] = ids.into();
    Ok(())
}

/// Begins a new period now: what is left of the old one is given back, the new one is due.
fn restart(action: &mut Action, subscription: &mut Value, change: Change) -> Vec<Value> {
    let now = action.now;
    let mut lines = Vec::new();
    for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
        if items::period(item).0 == now {
            continue;
        }
        lines.extend(change.end(action, item));
        items::set_period(item, (now, period::end(&item["price"]["recurring"], now, now)));
        lines.extend(items::line(action, item));
    }
    lines
}

pub(in crate::stripe) fn update(
    action: &mut Action,
    id: &str,
    mut params: Params,
) -> Result<Value, Error> {
    let before = running(action, id)?;
    let mut after = before.clone();
    let behaviors = ["allow_incomplete", "default_incomplete", "error_if_incomplete"];
    let behavior = params.one_of("payment_behavior", &behaviors)?;
    let strict = behavior.as_deref() == Some("error_if_incomplete");
    if let Some(mut details) = params.map("cancellation_details")? {
        details.copy_texts(&mut after["cancellation_details"], &["comment", "feedback"])?;
        details.done()?;
    }
    let asked = Asked::read(action, &mut params)?;
    action.all_or_nothing(|action| {
        settings::read(action, &mut after, &mut params)?;
        let (lines, now) = asked.apply(action, &mut after)?;
        let (_, period_end) = first_period(&after);
        settings::read_end(&mut after, period_end, action.now, &mut params)?;
        params.done()?;
        if !now {
            wait(action, id, lines);
            action.update("customer.subscription.updated", &before, &after);
            return Ok(after);
        }
        let due: i64 = lines.iter().map(|line| integer(line, "amount")).sum();
        let period = (action.now, action.now);
        let mut invoice = bill(action, &mut after, "subscription_update", lines, period);
        action.update("customer.subscription.updated", &before, &after);
        if !invoices::settle(action, &mut invoice) && strict && due > 0 {
            return Err(Error::card_declined());
        }
        action.find("subscription", id)
    })
}

/// Keeps lines for the subscription's next invoice.
fn wait(action: &mut Action, id: &str, lines: Vec<Value>) {
    if !lines.is_empty() {
        action.state.prorations.entry(id.to_owned()).or_default().extend(lines);
    }
}
