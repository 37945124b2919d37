use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    action::Action,
    error::Error,
    form::Params,
    line_items::NewLine,
    list,
    shape::{integer, merge, text},
};

const HOUR: i64 = 3600;

/// What a session sells, and what is to be written on the payment or subscription it leads to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) items: Vec<Value>,
    pub(super) payment_intent_data: Value,
    pub(super) subscription_data: Value,
}

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mode = params.one_of("mode", &["payment", "subscription"])?;
    let mode = mode.ok_or_else(|| Error::missing("mode"))?;
    let mut session = json!({ "metadata": {}, "mode": mode });
    read_urls(&mut session, &mut params)?;
    read_customer(action, &mut session, &mut params)?;
    read_options(&mut session, &mut params)?;
    session["expires_at"] = read_expiry(action, &mut params)?.into();
    let payment_intent_data = read_data(&mut params, "payment_intent_data")?;
    let subscription_data = read_data(&mut params, "subscription_data")?;
    let lines = NewLine::read_all(action, &mut params, &mode)?;
    params.done()?;

    let trial = integer(&subscription_data, "trial_period_days") > 0;
    let items: Vec<Value> = lines.into_iter().map(|line| line.add(action)).collect();
    let due = |item: &&Value| !(trial && item["price"]["type"] == "recurring");
    let total: i64 = items.iter().filter(due).map(|item| integer(item, "amount_total")).sum();
    session["amount_subtotal"] = total.into();
    session["amount_total"] = total.into();
    session["currency"] = items.first().map(|item| item["currency"].clone()).into();
    let mut session = action.shape("checkout.session", session);
    let id = text(&session, "id").to_owned();
    session["url"] = format!("{}/pay/{id}", action.origin.base_url).into();
    action.save(&session);
    action.state.orders.insert(id, Order { items, payment_intent_data, subscription_data });
    Ok(session)
}

fn read_urls(session: &mut Value, params: &mut Params) -> Result<(), Error> {
    session["success_url"] = params.required("success_url")?.into();
    params.copy_texts(session, &["cancel_url"])?;
    for field in ["success_url", "cancel_url"] {
        let Some(text) = session[field].as_str() else { continue };
        if !Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(Error::malformed("url_invalid", field, "Not a valid URL"));
        }
    }
    Ok(())
}

fn read_customer(action: &Action, session: &mut Value, params: &mut Params) -> Result<(), Error> {
    params.copy_texts(session, &["customer", "customer_email", "customer_creation"])?;
    let email = match (session["customer"].as_str(), session["customer_email"].as_str()) {
        (Some(_), Some(_)) => {
            let message = "You may only specify one of these parameters: customer, customer_email.";
            return Err(Error::invalid("customer", message));
        }
        (Some(id), None) => action.refer("customer", id, "customer")?["email"].clone(),
        (None, Some(email)) => email.into(),
        (None, None) => return Ok(()),
    };
    session["customer_details"] = details(email);
    Ok(())
}

/// What a session knows of its buyer.
pub(super) fn details(email: Value) -> Value {
    json!({
        "address": null,
        "business_name": null,
        "email": email,
        "individual_name": null,
        "name": null,
        "phone": null,
        "tax_exempt": "none",
        "tax_ids": [],
    })
}

/// Options that are shown again but change nothing here.
fn read_options(session: &mut Value, params: &mut Params) -> Result<(), Error> {
    let texts = [
        "billing_address_collection",
        "client_reference_id",
        "locale",
        "payment_method_collection",
        "submit_type",
    ];
    params.copy_texts(session, &texts)?;
    params.copy_metadata(session)?;
    params.one_of("ui_mode", &["hosted_page"])?;
    if let Some(allowed) = params.flag("allow_promotion_codes")? {
        session["allow_promotion_codes"] = allowed.into();
    }
    let methods = params.texts("payment_method_types")?;
    if !methods.is_empty() {
        session["payment_method_types"] = methods.into();
    }
    Ok(())
}

fn read_expiry(action: &Action, params: &mut Params) -> Result<i64, Error> {
    let (soonest, latest) = (action.now + HOUR / 2, action.now + 24 * HOUR);
    let at = params.integer("expires_at")?.unwrap_or(latest);
    // Clients compute the bounds from a clock of their own.
    if at < soonest - 60 || at > latest + 60 {
        let message = "The `expires_at` timestamp must be 30 minutes to 24 hours from now.";
        return Err(Error::invalid("expires_at", message));
    }
    Ok(at)
}

fn read_data(params: &mut Params, field: &str) -> Result<Value, Error> {
    let mut data = json!({ "metadata": {} });
    let Some(mut given) = params.map(field)? else { return Ok(data) };
    given.copy_metadata(&mut data)?;
    given.copy_texts(&mut data, &["description"])?;
    if field == "payment_intent_data" {
        given.copy_texts(&mut data, &["receipt_email", "setup_future_usage"])?;
    } else {
        data["trial_period_days"] = given.integer("trial_period_days")?.into();
    }
    given.done()?;
    Ok(data)
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    let filters = ["customer", "payment_intent", "status", "subscription"];
    list::list(action, "checkout.session", "/v1/checkout/sessions", params, &filters)
}

pub(super) fn retrieve(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    current(action, id)
}

pub(super) fn items(action: &Action, id: &str, params: Params) -> Result<Value, Error> {
    let order = action.state.orders.get(id);
    let order = order.ok_or_else(|| Error::not_found("checkout.session", id))?;
    list::page(order.items.clone(), &format!("/v1/checkout/sessions/{id}/line_items"), params)
}

pub(super) fn expire(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let session = current(action, id)?;
    if session["status"] != "open" {
        let message = "Only Checkout Sessions with a status in [\"open\"] can be expired.";
        return Err(Error::invalid("session", message));
    }
    Ok(close(action, session))
}

/// The session as it is now: one whose time has passed expires when it is looked at.
pub(super) fn current(action: &mut Action, id: &str) -> Result<Value, Error> {
    let session = action.find("checkout.session", id)?;
    if session["status"] == "open" && integer(&session, "expires_at") <= action.now {
        return Ok(close(action, session));
    }
    Ok(session)
}

fn close(action: &mut Action, mut session: Value) -> Value {
    merge(&mut session, json!({ "status": "expired", "url": null }));
    action.save(&session);
    action.emit("checkout.session.expired", &session);
    session
}
