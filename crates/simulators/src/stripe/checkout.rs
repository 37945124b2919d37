use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    action::Action,
    checkout_options as options,
    discounts::{self, Asked},
    error::Error,
    form::Params,
    line_items::{self, NewLine},
    list, promotion_codes,
    shape::{integer, merge, text},
};

const HOUR: i64 = 3600;

/// What a session sells, and what is to be written on the payment or subscription it leads to.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    options::read(&mut session, &mut params)?;
    let discounts = discounts::read(&mut params)?.unwrap_or_default();
    session["expires_at"] = read_expiry(action, &mut params)?.into();
    let payment_intent_data = options::read_payment(&mut params)?;
    let subscription_data = options::read_subscription(action.now, &mut params)?;
    let lines = NewLine::read_all(action, &mut params, &mode)?;
    params.done()?;
    if !discounts.is_empty() && session["allow_promotion_codes"] == true {
        let message =
            "You may only specify one of these parameters: allow_promotion_codes, discounts.";
        return Err(Error::invalid("discounts", message));
    }
    action.all_or_nothing(|action| {
        let items: Vec<Value> = lines.into_iter().map(|line| line.add(action)).collect();
        session["currency"] = items.first().map(|item| item["currency"].clone()).into();
        let mut session = action.shape("checkout.session", session);
        let id = text(&session, "id").to_owned();
        session["url"] = format!("{}/pay/{id}", action.origin.base_url).into();
        let order = Order { items, payment_intent_data, subscription_data };
        action.state.orders.insert(id, order);
        price(action, &mut session, &discounts)?;
        action.save(&session);
        Ok(session)
    })
}

/// What is due of a session today, with `discounts`.
fn price(action: &mut Action, session: &mut Value, discounts: &[Asked]) -> Result<(), Error> {
    let id = text(session, "id").to_owned();
    let Some(order) = action.state.orders.get(&id) else { return Ok(()) };
    let trial = !order.subscription_data["trial"].is_null();
    let mut items = order.items.clone();
    let mut due: Vec<&mut Value> =
        items.iter_mut().filter(|item| !(trial && item["price"]["type"] == "recurring")).collect();
    let subtotal: i64 = due.iter().map(|item| integer(item, "amount_subtotal")).sum();
    let mut coupons = Vec::new();
    for asked in discounts {
        coupons.push(asked.check(action, text(session, "customer"), subtotal)?);
    }
    let off = line_items::take_off(&mut due, &coupons);
    session["amount_subtotal"] = subtotal.into();
    session["amount_total"] = (subtotal - off).into();
    session["total_details"]["amount_discount"] = off.into();
    session["discounts"] = discounts.iter().map(Asked::shown).collect();
    if let Some(order) = action.state.orders.get_mut(&id) {
        order.items = items;
    }
    Ok(())
}

/// What the buyer does on the page: types a promotion code, or none to take it back.
pub(super) fn enter_code(action: &mut Action, id: &str, code: &str) -> Result<Value, Error> {
    let mut session = current(action, id)?;
    if session["status"] != "open" || session["allow_promotion_codes"] != true {
        return Err(Error::invalid("promotion_code", "This page takes no promotion codes."));
    }
    let discounts = match code {
        "" => Vec::new(),
        code => {
            let promotion = promotion_codes::find(action, code);
            let promotion = promotion.ok_or_else(|| {
                Error::invalid("promotion_code", "This promotion code does not exist.")
            })?;
            vec![Asked::PromotionCode(text(promotion, "id").to_owned())]
        }
    };
    price(action, &mut session, &discounts)?;
    action.save(&session);
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
