use serde_json::{Value, json};

use crate::stripe::{action::Action, error::Error, form::Params, payment_methods, shape::text};

const DAY: i64 = 24 * 3600;

/// Reads what can be set on a subscription at its start and later.
pub(super) fn read(
    action: &mut Action,
    subscription: &mut Value,
    params: &mut Params,
) -> Result<(), Error> {
    params.copy_texts(subscription, &["description"])?;
    params.copy_metadata(subscription)?;
    params.flag("off_session")?;
    params.one_of("collection_method", &["charge_automatically"])?;
    if let Some(id) = params.text("default_payment_method")? {
        let customer = text(subscription, "customer").to_owned();
        let method = payment_methods::named(action, &id, &customer, "default_payment_method")?;
        subscription["default_payment_method"] = method["id"].clone();
    }
    if let Some(mut tax) = params.map("automatic_tax")? {
        subscription["automatic_tax"]["enabled"] = tax.flag("enabled")?.unwrap_or(false).into();
        tax.done()?;
    }
    if let Some(mut payment) = params.map("payment_settings")? {
        let saves = ["off", "on_subscription"];
        if let Some(save) = payment.one_of("save_default_payment_method", &saves)? {
            subscription["payment_settings"]["save_default_payment_method"] = save.into();
        }
        payment.done()?;
    }
    read_trial_settings(subscription, params)?;
    read_pause(subscription, params)
}

/// What to do when a trial ends and nothing is there to pay with.
pub(in crate::stripe) fn read_trial_settings(
    subscription: &mut Value,
    params: &mut Params,
) -> Result<(), Error> {
    let Some(mut settings) = params.map("trial_settings")? else { return Ok(()) };
    if let Some(mut end) = settings.map("end_behavior")? {
        let known = ["cancel", "create_invoice", "pause"];
        if let Some(behavior) = end.one_of("missing_payment_method", &known)? {
            subscription["trial_settings"] =
                json!({ "end_behavior": { "missing_payment_method": behavior } });
        }
        end.done()?;
    }
    settings.done()
}

/// Invoices are drawn up while collection is paused, but not collected.
fn read_pause(subscription: &mut Value, params: &mut Params) -> Result<(), Error> {
    if params.emptied("pause_collection") {
        subscription["pause_collection"] = Value::Null;
    }
    let Some(mut pause) = params.map("pause_collection")? else { return Ok(()) };
    let known = ["keep_as_draft", "mark_uncollectible", "void"];
    let missing = Error::missing(&pause.name("behavior"));
    let behavior = pause.one_of("behavior", &known)?.ok_or(missing)?;
    let resumes_at = pause.integer("resumes_at")?;
    pause.done()?;
    subscription["pause_collection"] = json!({ "behavior": behavior, "resumes_at": resumes_at });
    Ok(())
}

/// Reads `trial_end` or `trial_period_days`: when a trial that begins now ends.
pub(in crate::stripe) fn read_trial(now: i64, params: &mut Params) -> Result<Option<i64>, Error> {
    let end = params.time("trial_end", now)?;
    let days = params.integer("trial_period_days")?;
    if end.is_some() && days.is_some() {
        let message = "You may only specify one of these parameters: trial_end, trial_period_days.";
        return Err(Error::invalid("trial_end", message));
    }
    let end = end.or(days.map(|days| now + days * DAY)).filter(|end| *end != now);
    match end {
        Some(end) if end < now => Err(Error::invalid("trial_end", "This must be in the future.")),
        Some(end) if end > now + 730 * DAY => {
            Err(Error::invalid("trial_end", "A trial lasts two years at most."))
        }
        end => Ok(end),
    }
}

/// Reads `cancel_at_period_end` and `cancel_at`.
pub(super) fn read_end(
    subscription: &mut Value,
    period_end: i64,
    now: i64,
    params: &mut Params,
) -> Result<(), Error> {
    let at_period_end = params.flag("cancel_at_period_end")?;
    let never = params.emptied("cancel_at");
    let at = params.integer("cancel_at")?;
    let cancel_at = match (at_period_end, at) {
        (Some(true), Some(_)) => {
            let message = "You may only specify one of cancel_at and cancel_at_period_end.";
            return Err(Error::invalid("cancel_at", message));
        }
        (_, Some(at)) if at <= now => {
            return Err(Error::invalid("cancel_at", "This must be in the future."));
        }
        (Some(true), None) => Some(period_end),
        (_, Some(at)) => Some(at),
        (Some(false), None) => None,
        (None, None) if never => None,
        (None, None) => return Ok(()),
    };
    if let Some(schedule) = subscription["schedule"].as_str() {
        let message = format!(
            "The subscription is managed by the subscription schedule `{schedule}`, and updating \
             any cancelation behavior directly is not allowed."
        );
        return Err(Error::invalid("cancel_at_period_end", message));
    }
    subscription["cancel_at_period_end"] = (at_period_end == Some(true)).into();
    subscription["cancel_at"] = cancel_at.into();
    subscription["canceled_at"] = cancel_at.map(|_| now).into();
    subscription["cancellation_details"]["reason"] =
        cancel_at.map(|_| "cancellation_requested").into();
    Ok(())
}
