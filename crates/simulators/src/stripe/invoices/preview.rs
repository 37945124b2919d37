use serde_json::{Value, json};

use super::draft::{Draft, compose};
use crate::stripe::{
    action::Action,
    discounts,
    error::Error,
    form::Params,
    items::Bought,
    prices,
    shape::{integer, text},
    subscriptions::{self, Asked, Start},
};

/// What the next invoice would be, after a change that is described and not made.
pub(in crate::stripe) fn preview(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let subscription = params.text("subscription")?;
    let customer = params.text("customer")?;
    params.one_of("preview_mode", &["next", "recurring"])?;
    let discounts = discounts::read(&mut params)?;
    if let Some(mut tax) = params.map("automatic_tax")? {
        tax.flag("enabled")?;
        tax.done()?;
    }
    let mut details = params.map("subscription_details")?.unwrap_or_default();
    params.done()?;
    let mut invoice = match (subscription, customer) {
        (Some(id), _) => {
            let before = action.refer("subscription", &id, "subscription")?;
            action.live_by(text(&before, "customer"));
            let asked = Asked::read(action, &mut details)?;
            let ends = details.flag("cancel_at_period_end")?.unwrap_or(false);
            let ends_now = details.flag("cancel_now")?.unwrap_or(false);
            details.done()?;
            let end = if ends_now {
                End::Now
            } else if ends {
                End::WithPeriod
            } else {
                End::Not
            };
            action.dry_run(|action| of_change(action, before, &asked, discounts, end))?
        }
        (None, Some(customer)) => {
            action.refer("customer", &customer, "customer")?;
            action.live_by(&customer);
            action.dry_run(|action| of_start(action, &customer, details, discounts))?
        }
        (None, None) => return Err(Error::missing("subscription")),
    };
    invoice["id"] = format!("upcoming_{}", text(&invoice, "id")).into();
    let fields = json!({ "automatically_finalizes_at": null, "number": null, "status": "draft" });
    crate::stripe::shape::merge(&mut invoice, fields);
    Ok(invoice)
}

/// When a subscription is to end in what is previewed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Not,
    WithPeriod,
    Now,
}

fn of_change(
    action: &mut Action,
    before: Value,
    asked: &Asked,
    discounts: Option<Vec<discounts::Asked>>,
    end: End,
) -> Result<Value, Error> {
    if subscriptions::has_ended(&before) {
        let message = "No upcoming invoices for a canceled subscription";
        return Err(Error::malformed("invoice_upcoming_none", "subscription", message));
    }
    let id = text(&before, "id").to_owned();
    let mut after = before;
    if let Some(discounts) = discounts {
        let mut ids = Vec::new();
        for asked in discounts {
            let customer = text(&after, "customer").to_owned();
            ids.push(asked.redeem(action, &customer, i64::MAX, json!({ "subscription": id }))?);
        }
        after["discounts"] = ids.into();
    }
    let (lines, now) = asked.apply(action, &mut after)?;
    if now || end == End::Now {
        after["latest_invoice"] = action.state.next_id("in").into();
        let period = (action.now, action.now);
        return Ok(compose(action, Draft::of(&after, "subscription_update", lines, period)));
    }
    if end == End::WithPeriod || after["cancel_at_period_end"] == true {
        let message = "No upcoming invoices: the subscription ends with its period.";
        return Err(Error::malformed("invoice_upcoming_none", "subscription", message));
    }
    action.state.prorations.entry(id).or_default().extend(lines);
    action.save(&after);
    action.now = subscriptions::first_period(&after).1;
    let (_, invoice) = subscriptions::turn(action, &after);
    invoice.ok_or_else(|| {
        let message = "No upcoming invoices for this subscription";
        Error::malformed("invoice_upcoming_none", "subscription", message)
    })
}

fn of_start(
    action: &mut Action,
    customer: &str,
    mut details: Params,
    discounts: Option<Vec<discounts::Asked>>,
) -> Result<Value, Error> {
    let trial_end = subscriptions::read_trial(action.now, &mut details)?;
    let mut bought = Vec::new();
    for mut item in details.maps("items")? {
        let param = item.name("price");
        let price = action.refer("price", &item.required("price")?, &param)?;
        prices::check_recurring(&price, &param)?;
        bought.push(Bought { price, quantity: item.integer("quantity")?.unwrap_or(1) });
        item.done()?;
    }
    details.done()?;
    if bought.is_empty() {
        return Err(Error::missing("subscription_details[items]"));
    }
    let discounts = discounts.unwrap_or_default();
    let start = Start {
        customer,
        bought: &bought,
        fields: json!({}),
        trial_end,
        discounts: &discounts,
        unpaid: true,
    };
    let (_, mut invoice) = subscriptions::start(action, start)?;
    let due = integer(&invoice, "amount_due");
    invoice["amount_remaining"] = due.into();
    Ok(invoice)
}
