use serde_json::{Value, json};

use super::{bill, settings};
use crate::stripe::{
    action::Action,
    discounts,
    error::Error,
    form::Params,
    invoices,
    items::{self, Bought},
    payment_methods::{self, Card},
    period, prices,
    shape::{integer, list_of, merge, text},
};

/// A subscription about to begin.
pub(in crate::stripe) struct Start<'a> {
    pub(in crate::stripe) customer: &'a str,
    pub(in crate::stripe) bought: &'a [Bought],
    /// Fields that were set on it.
    pub(in crate::stripe) fields: Value,
    pub(in crate::stripe) trial_end: Option<i64>,
    pub(in crate::stripe) discounts: &'a [discounts::Asked],
    /// Whether to leave the first invoice to be paid by the customer.
    pub(in crate::stripe) unpaid: bool,
}

/// Starts a subscription and collects its first invoice.
pub(in crate::stripe) fn start(action: &mut Action, start: Start) -> Result<(Value, Value), Error> {
    let Start { customer, bought, fields, trial_end, discounts, unpaid } = start;
    let now = action.now;
    let mut subscription = action.shape(
        "subscription",
        json!({
            "billing_cycle_anchor": trial_end.unwrap_or(now),
            "currency": bought.first().map(|bought| bought.price["currency"].clone()),
            "customer": customer,
            "start_date": now,
            "trial_end": trial_end,
            "trial_start": trial_end.map(|_| now),
        }),
    );
    merge(&mut subscription, fields);
    let id = text(&subscription, "id").to_owned();
    let amount: i64 = bought.iter().map(Bought::amount).sum();
    let mut redeemed = Vec::new();
    for asked in discounts {
        let fields = json!({ "subscription": id });
        redeemed.push(asked.redeem(action, customer, amount, fields)?);
    }
    subscription["discounts"] = redeemed.into();
    let lines = begin_items(action, &mut subscription, bought, trial_end);
    set_period_end(&mut subscription);
    let due: i64 = lines.iter().map(|line| integer(line, "amount")).sum();
    let pays = !unpaid && accepts(action, &subscription);
    subscription["status"] = match trial_end {
        Some(_) => "trialing",
        None if due == 0 || pays => "active",
        None => "incomplete",
    }
    .into();
    let mut invoice = bill(action, &mut subscription, "subscription_create", lines, (now, now));
    action.save(&subscription);
    action.emit("customer.subscription.created", &subscription);
    if unpaid && integer(&invoice, "amount_due") > 0 {
        invoices::open(action, &mut invoice);
    } else {
        invoices::settle(action, &mut invoice);
    }
    Ok((action.find("subscription", &id)?, invoice))
}

fn accepts(action: &Action, subscription: &Value) -> bool {
    let customer = text(subscription, "customer");
    let method = payment_methods::default_of(action.state, subscription, customer);
    let method = method.and_then(|id| action.state.get("payment_method", &id));
    method.is_some_and(|method| Card::of(method) == Card::Accepted)
}

/// Makes the items of a new subscription; the lines of its first invoice come back.
fn begin_items(
    action: &mut Action,
    subscription: &mut Value,
    bought: &[Bought],
    trial_end: Option<i64>,
) -> Vec<Value> {
    let (id, now) = (text(subscription, "id").to_owned(), action.now);
    let (mut own, mut lines) = (Vec::new(), Vec::new());
    for bought in bought {
        let recurring = &bought.price["recurring"];
        if recurring.is_null() {
            lines.push(items::line_once(action, bought));
            continue;
        }
        let end = trial_end.unwrap_or_else(|| period::end(recurring, now, now));
        let item = bought.item(action, &id, (now, end));
        let mut line = items::line(action, &item);
        if let (Some(line), Some(_)) = (&mut line, trial_end) {
            merge(line, json!({ "amount": 0, "subtotal": 0, "description": "Free trial" }));
        }
        lines.extend(line);
        own.push(item);
    }
    subscription["items"] = list_of(&format!("/v1/subscription_items?subscription={id}"), own);
    lines
}

/// A subscription that is to end with its period names when that is.
fn set_period_end(subscription: &mut Value) {
    if subscription["cancel_at_period_end"] == true {
        let (_, end) = super::first_period(subscription);
        subscription["cancel_at"] = end.into();
    }
}

pub(in crate::stripe) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let customer = params.required("customer")?;
    action.refer("customer", &customer, "customer")?;
    action.live_by(&customer);
    let mut fields = json!({ "customer": customer, "metadata": {} });
    let behaviors = ["allow_incomplete", "default_incomplete", "error_if_incomplete"];
    let behavior = params.one_of("payment_behavior", &behaviors)?;
    let behavior = behavior.unwrap_or_else(|| "allow_incomplete".to_owned());
    let trial_end = settings::read_trial(action.now, &mut params)?;
    settings::read_end(&mut fields, 0, action.now, &mut params)?;
    let discounts = discounts::read(&mut params)?.unwrap_or_default();
    let bought = read_items(action, &mut params)?;
    action.all_or_nothing(|action| {
        settings::read(action, &mut fields, &mut params)?;
        params.done()?;
        let unpaid = behavior == "default_incomplete";
        let begun = Start {
            customer: &customer,
            bought: &bought,
            fields,
            trial_end,
            discounts: &discounts,
            unpaid,
        };
        let (subscription, _) = start(action, begun)?;
        if behavior == "error_if_incomplete" && subscription["status"] == "incomplete" {
            return Err(Error::card_declined());
        }
        Ok(subscription)
    })
}

fn read_items(action: &Action, params: &mut Params) -> Result<Vec<Bought>, Error> {
    let mut bought = Vec::new();
    for mut item in params.maps("items")? {
        let param = item.name("price");
        let price = action.refer("price", &item.required("price")?, &param)?;
        let quantity = item.integer("quantity")?.unwrap_or(1);
        item.done()?;
        prices::check_recurring(&price, &param)?;
        bought.push(Bought { price, quantity });
    }
    if bought.is_empty() { Err(Error::missing("items")) } else { Ok(bought) }
}
