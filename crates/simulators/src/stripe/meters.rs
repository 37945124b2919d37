use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    list,
    shape::{integer, text},
    state::State,
};

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut meter = json!({
        "display_name": params.required("display_name")?,
        "event_name": params.required("event_name")?,
        "updated": action.now,
    });
    let formula = match params.map("default_aggregation")? {
        Some(mut aggregation) => {
            let formula = aggregation.one_of("formula", &["count", "last", "sum"])?;
            aggregation.done()?;
            formula
        }
        None => None,
    };
    let formula = formula.ok_or_else(|| Error::missing("default_aggregation[formula]"))?;
    meter["default_aggregation"] = json!({ "formula": formula });
    if let Some(mut mapping) = params.map("customer_mapping")? {
        mapping.one_of("type", &["by_id"])?;
        let key = mapping.required("event_payload_key")?;
        mapping.done()?;
        meter["customer_mapping"] = json!({ "event_payload_key": key, "type": "by_id" });
    }
    if let Some(mut settings) = params.map("value_settings")? {
        meter["value_settings"] =
            json!({ "event_payload_key": settings.required("event_payload_key")? });
        settings.done()?;
    }
    params.done()?;
    if named(action.state, text(&meter, "event_name")).is_some() {
        let message = "An active meter with this event name exists already.";
        return Err(Error::invalid("event_name", message));
    }
    let meter = action.create("billing.meter", meter);
    action.emit("billing.meter.created", &meter);
    Ok(meter)
}

/// The active meter of the events called `event_name`.
pub(super) fn named<'a>(state: &'a State, event_name: &str) -> Option<&'a Value> {
    let active = |meter: &&Value| meter["status"] == "active" && meter["event_name"] == event_name;
    state.all("billing.meter").find(active)
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "billing.meter", "/v1/billing/meters", params, &["status"])
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = action.find("billing.meter", id)?;
    let mut meter = before.clone();
    params.copy_texts(&mut meter, &["display_name"])?;
    params.done()?;
    meter["updated"] = action.now.into();
    action.update("billing.meter.updated", &before, &meter);
    Ok(meter)
}

/// Stops a meter, or starts it again.
pub(super) fn switch(
    action: &mut Action,
    id: &str,
    on: bool,
    params: Params,
) -> Result<Value, Error> {
    params.done()?;
    let before = action.find("billing.meter", id)?;
    let mut meter = before.clone();
    let (status, event, at) = if on {
        ("active", "billing.meter.reactivated", None)
    } else {
        ("inactive", "billing.meter.deactivated", Some(action.now))
    };
    meter["status"] = status.into();
    meter["status_transitions"]["deactivated_at"] = at.into();
    action.update(event, &before, &meter);
    Ok(meter)
}

/// How much a customer used between two moments, the second excluded.
fn aggregate(state: &State, meter: &Value, customer: &str, (start, end): (i64, i64)) -> i64 {
    let by = text(&meter["customer_mapping"], "event_payload_key");
    let key = text(&meter["value_settings"], "event_payload_key");
    let counts = |event: &&Value| {
        event["event_name"] == meter["event_name"]
            && event["payload"][by] == customer
            && (start..end).contains(&integer(event, "timestamp"))
    };
    let events: Vec<&Value> = state.all("billing.meter_event").filter(counts).collect();
    let value = |event: &&Value| text(&event["payload"], key).parse::<i64>().unwrap_or_default();
    match text(&meter["default_aggregation"], "formula") {
        "count" => i64::try_from(events.len()).unwrap_or(i64::MAX),
        "last" => {
            let last = events.iter().max_by_key(|event| integer(event, "timestamp"));
            last.map_or(0, value)
        }
        _ => events.iter().map(value).sum(),
    }
}

/// How much of a metered price a customer used in a period.
pub(super) fn used(state: &State, price: &Value, customer: &str, period: (i64, i64)) -> i64 {
    let meter = state.get("billing.meter", text(&price["recurring"], "meter"));
    meter.map_or(0, |meter| aggregate(state, meter, customer, period))
}

/// What was used between two moments, as one sum.
pub(super) fn summaries(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let meter = action.find("billing.meter", id)?;
    let customer = params.required("customer")?;
    action.refer("customer", &customer, "customer")?;
    let start = params.integer("start_time")?.ok_or_else(|| Error::missing("start_time"))?;
    let end = params.integer("end_time")?.ok_or_else(|| Error::missing("end_time"))?;
    if start % 60 != 0 || end % 60 != 0 {
        let message = "Start and end times must be aligned with minute boundaries.";
        return Err(Error::invalid("start_time", message));
    }
    let total = aggregate(action.state, &meter, &customer, (start, end));
    let summary = action.shape(
        "billing.meter_event_summary",
        json!({ "aggregated_value": total, "end_time": end, "meter": id, "start_time": start }),
    );
    let url = format!("/v1/billing/meters/{id}/event_summaries");
    list::page(vec![summary], &url, params)
}
