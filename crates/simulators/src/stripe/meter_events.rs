use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    meters,
    shape::{integer, text},
};

const DAY: i64 = 24 * 3600;

/// How old an event may be, and for how long its identifier is remembered at least.
const MAX_AGE: i64 = 35 * DAY;
const IDENTIFIER_LIFETIME: i64 = DAY;

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let event_name = params.required("event_name")?;
    let meter = meters::named(action.state, &event_name).cloned().ok_or_else(|| {
        let message = format!("No active meter found for event name {event_name}.");
        Error::malformed("no_meter_found", "event_name", message)
    })?;
    let mut payload = params.map("payload")?.ok_or_else(|| Error::missing("payload"))?;
    let by = text(&meter["customer_mapping"], "event_payload_key");
    let customer = payload.required(by)?;
    action.refer("customer", &customer, &format!("payload[{by}]"))?;
    action.live_by(&customer);
    let key = text(&meter["value_settings"], "event_payload_key");
    let value = payload.text(key)?.unwrap_or_else(|| "1".to_owned());
    payload.done()?;
    if value.parse::<i64>().is_err() {
        let message = format!("The value of `{key}` must be a whole number.");
        return Err(Error::malformed("meter_event_invalid_value", "payload", message));
    }
    let timestamp = params.integer("timestamp")?.unwrap_or(action.now);
    if timestamp < action.now - MAX_AGE || timestamp > action.now + 300 {
        let message = "The timestamp must be within the past 35 days or up to 5 minutes ahead.";
        return Err(Error::malformed("timestamp_too_far_in_past", "timestamp", message));
    }
    let identifier = params.text("identifier")?;
    params.done()?;
    let identifier = identifier.unwrap_or_else(|| action.state.next_id("identifier"));
    if is_known(action, &identifier) {
        let message = format!("An event already exists with identifier {identifier}.");
        return Err(Error::malformed("duplicate_meter_event", "identifier", message));
    }
    let mut event = action.shape(
        "billing.meter_event",
        json!({
            "event_name": event_name,
            "identifier": identifier,
            "payload": { by: customer, key: value },
            "timestamp": timestamp,
        }),
    );
    action.save(&event);
    // Stripe gives these no ids of their own.
    if let Some(event) = event.as_object_mut() {
        event.remove("id");
    }
    Ok(event)
}

fn is_known(action: &Action, identifier: &str) -> bool {
    let recent = |event: &Value| {
        event["identifier"] == identifier
            && integer(event, "created") > action.now - IDENTIFIER_LIFETIME
    };
    action.state.all("billing.meter_event").any(recent)
}

/// Takes back what was reported under an identifier less than a day ago.
pub(super) fn adjust(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let event_name = params.required("event_name")?;
    params.one_of("type", &["cancel"])?;
    let mut cancel = params.map("cancel")?.ok_or_else(|| Error::missing("cancel"))?;
    let identifier = cancel.required("identifier")?;
    cancel.done()?;
    params.done()?;
    let meant = |event: &&Value| {
        event["identifier"] == identifier.as_str()
            && event["event_name"] == event_name.as_str()
            && integer(event, "created") > action.now - IDENTIFIER_LIFETIME
    };
    let event = action.state.all("billing.meter_event").find(meant).cloned().ok_or_else(|| {
        let message = format!("No event of the last 24 hours has the identifier {identifier}.");
        Error::invalid("cancel[identifier]", message)
    })?;
    action.state.remove("billing.meter_event", text(&event, "id"));
    action.changed = true;
    Ok(json!({
        "object": "billing.meter_event_adjustment",
        "cancel": { "identifier": identifier },
        "event_name": event_name,
        "livemode": false,
        "status": "complete",
        "type": "cancel",
    }))
}
