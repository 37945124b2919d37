use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    items::{self, Bought},
    list, period, prices,
    shape::{integer, merge, text},
    subscriptions,
};

/// Plans changes of a subscription that runs; so far there is none.
pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let id = params.required("from_subscription")?;
    params.done()?;
    let before = action.refer("subscription", &id, "from_subscription")?;
    action.live_by(text(&before, "customer"));
    if subscriptions::has_ended(&before) || !before["schedule"].is_null() {
        let message = "You cannot create a schedule from this subscription: it ended or has one.";
        return Err(Error::invalid("from_subscription", message));
    }
    let (start, end) = subscriptions::first_period(&before);
    let own = before["items"]["data"].as_array().into_iter().flatten();
    let items: Vec<Value> = own.map(|item| planned(&Bought::of(item))).collect();
    let phase = phase(items, (start, end), &before["currency"], "create_prorations");
    let schedule = action.create(
        "subscription_schedule",
        json!({
            "current_phase": { "end_date": end, "start_date": start },
            "customer": before["customer"],
            "phases": [phase],
            "subscription": id,
        }),
    );
    action.emit("subscription_schedule.created", &schedule);
    let mut after = before.clone();
    after["schedule"] = schedule["id"].clone();
    action.update("customer.subscription.updated", &before, &after);
    Ok(schedule)
}

fn planned(bought: &Bought) -> Value {
    let quantity = (!bought.is_metered()).then_some(bought.quantity);
    json!({
        "billing_thresholds": null,
        "discounts": [],
        "metadata": {},
        "plan": bought.price["id"],
        "price": bought.price["id"],
        "quantity": quantity,
        "tax_rates": [],
    })
}

fn phase(items: Vec<Value>, (start, end): (i64, i64), currency: &Value, prorate: &str) -> Value {
    json!({
        "add_invoice_items": [],
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": null,
        "billing_thresholds": null,
        "collection_method": null,
        "currency": currency,
        "default_payment_method": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "end_date": end,
        "invoice_settings": null,
        "items": items,
        "metadata": {},
        "on_behalf_of": null,
        "proration_behavior": prorate,
        "start_date": start,
        "transfer_data": null,
        "trial_end": null,
    })
}

/// Replaces the phases.
pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = running(action, id)?;
    let mut after = before.clone();
    let prorations = ["always_invoice", "create_prorations", "none"];
    params.one_of("proration_behavior", &prorations)?;
    if let Some(behavior) = params.one_of("end_behavior", &["cancel", "release"])? {
        after["end_behavior"] = behavior.into();
    }
    params.copy_metadata(&mut after)?;
    let given = params.maps("phases")?;
    params.done()?;
    let (mut phases, mut start) = (Vec::new(), integer(&before["phases"][0], "start_date"));
    for mut given in given {
        start = given.time("start_date", action.now)?.unwrap_or(start);
        let phase = read_phase(action, given, start, &before["phases"][0]["currency"])?;
        start = integer(&phase, "end_date");
        phases.push(phase);
    }
    if !phases.is_empty() {
        after["phases"] = phases.into();
    }
    action.update("subscription_schedule.updated", &before, &after);
    Ok(after)
}

fn read_phase(
    action: &Action,
    mut given: Params,
    start: i64,
    currency: &Value,
) -> Result<Value, Error> {
    let prorations = ["always_invoice", "create_prorations", "none"];
    let prorate = given.one_of("proration_behavior", &prorations)?;
    let end = given.integer("end_date")?;
    let duration = match given.map("duration")? {
        Some(mut duration) => {
            let interval = duration.required("interval")?;
            let count = duration.integer("interval_count")?.unwrap_or(1);
            duration.done()?;
            let length = json!({ "interval": interval, "interval_count": count });
            Some(period::end(&length, start, start))
        }
        None => None,
    };
    let missing = Error::missing(&given.name("end_date"));
    let end = end.or(duration).filter(|end| *end > start).ok_or(missing)?;
    let mut items = Vec::new();
    for mut item in given.maps("items")? {
        let param = item.name("price");
        let price = action.refer("price", &item.required("price")?, &param)?;
        prices::check_recurring(&price, &param)?;
        let name = item.name("quantity");
        let quantity = item.integer("quantity")?;
        item.done()?;
        let bought = Bought { price, quantity: quantity.unwrap_or(1) };
        if quantity.is_some() && bought.is_metered() {
            return Err(Error::invalid(&name, "Metered prices have no quantity."));
        }
        items.push(planned(&bought));
    }
    if items.is_empty() {
        return Err(Error::missing(&given.name("items")));
    }
    given.done()?;
    let prorate = prorate.as_deref().unwrap_or("create_prorations");
    Ok(phase(items, (start, end), currency, prorate))
}

fn running(action: &mut Action, id: &str) -> Result<Value, Error> {
    let schedule = action.find("subscription_schedule", id)?;
    action.live_by(text(&schedule, "customer"));
    if schedule["status"] == "active" {
        return Ok(schedule);
    }
    let message = format!("This schedule is {}.", text(&schedule, "status"));
    Err(Error::invalid("id", message))
}

/// Drops what was planned; the subscription goes on as it is.
pub(super) fn release(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let schedule = running(action, id)?;
    let subscription = text(&schedule, "subscription");
    if let Some(before) = action.state.get("subscription", subscription).cloned() {
        let mut after = before.clone();
        after["schedule"] = Value::Null;
        action.update("customer.subscription.updated", &before, &after);
    }
    Ok(let_go(action, schedule))
}

fn let_go(action: &mut Action, before: Value) -> Value {
    let mut after = before.clone();
    let fields = json!({
        "current_phase": null,
        "released_at": action.now,
        "released_subscription": before["subscription"],
        "status": "released",
        "subscription": null,
    });
    merge(&mut after, fields);
    action.save(&after);
    action.emit("subscription_schedule.released", &after);
    after
}

/// Ends the plan with its subscription.
pub(super) fn end(action: &mut Action, subscription: &Value) {
    let Some(mut schedule) = of(action, subscription) else { return };
    let fields = json!({
        "canceled_at": action.now,
        "current_phase": null,
        "status": "canceled",
    });
    merge(&mut schedule, fields);
    action.save(&schedule);
    action.emit("subscription_schedule.canceled", &schedule);
}

fn of(action: &Action, subscription: &Value) -> Option<Value> {
    action.state.get("subscription_schedule", text(subscription, "schedule")).cloned()
}

/// Makes of a subscription whose period ends at `at` what was planned for then. True when it was to end.
pub(super) fn take_effect(action: &mut Action, subscription: &mut Value, at: i64) -> bool {
    let Some(mut schedule) = of(action, subscription) else { return false };
    let phases = schedule["phases"].as_array().cloned().unwrap_or_default();
    let covers =
        |phase: &&Value| (integer(phase, "start_date")..integer(phase, "end_date")).contains(&at);
    let Some(phase) = phases.iter().find(covers) else {
        if schedule["end_behavior"] == "cancel" {
            return true;
        }
        subscription["schedule"] = Value::Null;
        let_go(action, schedule);
        return false;
    };
    let dates = json!({ "end_date": phase["end_date"], "start_date": phase["start_date"] });
    if schedule["current_phase"] == dates {
        return false;
    }
    schedule["current_phase"] = dates;
    action.save(&schedule);
    action.emit("subscription_schedule.updated", &schedule);
    set_items(action, subscription, phase, at);
    false
}

/// Items keep their ids as long as there are as many as before.
fn set_items(action: &mut Action, subscription: &mut Value, phase: &Value, at: i64) {
    let id = text(subscription, "id").to_owned();
    let old = subscription["items"]["data"].as_array().cloned().unwrap_or_default();
    let before = items::interval_of(&old);
    let mut new = Vec::new();
    for (index, planned) in phase["items"].as_array().into_iter().flatten().enumerate() {
        let price = action.state.get("price", text(planned, "price")).cloned();
        let bought =
            Bought { price: price.unwrap_or_default(), quantity: integer(planned, "quantity") };
        let mut item = bought.item(action, &id, (at, at));
        if let Some(old) = old.get(index) {
            item["id"] = old["id"].clone();
            items::set_period(&mut item, items::period(old));
        }
        new.push(item);
    }
    if items::interval_of(&new) != before {
        subscription["billing_cycle_anchor"] = at.into();
    }
    subscription["items"]["data"] = new.into();
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    let url = "/v1/subscription_schedules";
    list::list(action, "subscription_schedule", url, params, &["customer"])
}
