//! The page where customers look after their subscriptions themselves.

pub(super) mod configurations;
pub(super) mod page;

use serde_json::{Value, json};
use url::Url;

use super::{action::Action, error::Error, form::Params, shape::text};

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let customer = params.required("customer")?;
    action.refer("customer", &customer, "customer")?;
    let mut session = json!({ "customer": customer });
    params.copy_texts(&mut session, &["locale", "return_url"])?;
    if session["return_url"].as_str().is_some_and(|url| Url::parse(url).is_err()) {
        return Err(Error::malformed("url_invalid", "return_url", "Not a valid URL"));
    }
    let configuration = match params.text("configuration")? {
        Some(id) => action.refer("billing_portal.configuration", &id, "configuration")?,
        None => configurations::default(action),
    };
    session["configuration"] = configuration["id"].clone();
    if let Some(flow) = params.map("flow_data")? {
        session["flow"] = read_flow(action, flow)?;
    }
    params.done()?;
    let mut session = action.create("billing_portal.session", session);
    let url = format!("{}/portal/{}", action.origin.base_url, text(&session, "id"));
    session["url"] = url.into();
    action.save(&session);
    Ok(session)
}

/// What the page is opened for.
fn read_flow(action: &Action, mut given: Params) -> Result<Value, Error> {
    let kinds = [
        "payment_method_update",
        "subscription_cancel",
        "subscription_update",
        "subscription_update_confirm",
    ];
    let missing = Error::missing(&given.name("type"));
    let kind = given.one_of("type", &kinds)?.ok_or(missing)?;
    let mut flow = json!({
        "after_completion": {
            "hosted_confirmation": null,
            "redirect": null,
            "type": "portal_homepage",
        },
        "subscription_cancel": null,
        "subscription_update": null,
        "subscription_update_confirm": null,
        "type": kind,
    });
    if let Some(mut after) = given.map("after_completion")? {
        let kinds = ["hosted_confirmation", "portal_homepage", "redirect"];
        if let Some(kind) = after.one_of("type", &kinds)? {
            flow["after_completion"]["type"] = kind.into();
        }
        if let Some(mut redirect) = after.map("redirect")? {
            let url = redirect.required("return_url")?;
            flow["after_completion"]["redirect"] = json!({ "return_url": url });
            redirect.done()?;
        }
        after.done()?;
    }
    if let Some(mut details) = given.map(&kind)? {
        let id = details.required("subscription")?;
        action.refer("subscription", &id, "subscription")?;
        let mut about = json!({ "subscription": id });
        if kind == "subscription_update_confirm" {
            about["discounts"] = Value::Null;
            about["items"] = read_items(&mut details)?;
        }
        if kind == "subscription_cancel" {
            about["retention"] = Value::Null;
        }
        details.done()?;
        flow[kind.as_str()] = about;
    } else if kind != "payment_method_update" {
        return Err(Error::missing(&given.name(&kind)));
    }
    given.done()?;
    Ok(flow)
}

fn read_items(details: &mut Params) -> Result<Value, Error> {
    let mut items = Vec::new();
    for mut item in details.maps("items")? {
        let (id, price) = (item.required("id")?, item.text("price")?);
        items.push(json!({ "id": id, "price": price, "quantity": item.integer("quantity")? }));
        item.done()?;
    }
    Ok(items.into())
}
