use axum::http::Method;
use serde_json::Value;

use super::{
    action::Action, catalog, checkout, customers, error::Error, events, expand, form::Params,
    invoices, payments, refunds, subscriptions,
};

/// The whole API: which function answers which call.
pub(super) fn dispatch(
    action: &mut Action,
    method: &Method,
    path: &str,
    mut params: Params,
) -> Result<Value, Error> {
    let expansions = expand::requested(&mut params)?;
    let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    let mut object = match (method.as_str(), segments.as_slice()) {
        ("GET", ["charges"]) => payments::list_charges(action, params),
        ("GET", ["charges", id]) => retrieve(action, "charge", id, params),
        ("POST", ["checkout", "sessions"]) => checkout::create(action, params),
        ("GET", ["checkout", "sessions"]) => checkout::list(action, params),
        ("GET", ["checkout", "sessions", id]) => checkout::retrieve(action, id, params),
        ("POST", ["checkout", "sessions", id, "expire"]) => checkout::expire(action, id, params),
        ("GET", ["checkout", "sessions", id, "line_items"]) => checkout::items(action, id, params),
        ("POST", ["customers"]) => customers::create(action, params),
        ("GET", ["customers"]) => customers::list(action, params),
        ("GET", ["customers", id]) => retrieve(action, "customer", id, params),
        ("POST", ["customers", id]) => customers::update(action, id, params),
        ("DELETE", ["customers", id]) => customers::delete(action, id, params),
        ("GET", ["events"]) => events::list(action, params),
        ("GET", ["events", id]) => retrieve(action, "event", id, params),
        ("GET", ["invoice_payments"]) => invoices::list_payments(action, params),
        ("GET", ["invoice_payments", id]) => retrieve(action, "invoice_payment", id, params),
        ("GET", ["invoices"]) => invoices::list(action, params),
        ("GET", ["invoices", id]) => retrieve(action, "invoice", id, params),
        ("POST", ["invoices", id, "pay"]) => invoices::pay(action, id, params),
        ("GET", ["payment_intents"]) => payments::list_intents(action, params),
        ("GET", ["payment_intents", id]) => retrieve(action, "payment_intent", id, params),
        ("POST", ["prices"]) => catalog::create_price(action, params),
        ("GET", ["prices"]) => catalog::list_prices(action, params),
        ("GET", ["prices", id]) => retrieve(action, "price", id, params),
        ("POST", ["prices", id]) => catalog::update_price(action, id, params),
        ("POST", ["products"]) => catalog::create_product(action, params),
        ("GET", ["products"]) => catalog::list_products(action, params),
        ("GET", ["products", id]) => retrieve(action, "product", id, params),
        ("POST", ["products", id]) => catalog::update_product(action, id, params),
        ("POST", ["refunds"]) => refunds::create(action, params),
        ("GET", ["refunds"]) => refunds::list(action, params),
        ("GET", ["refunds", id]) => retrieve(action, "refund", id, params),
        ("GET", ["subscriptions"]) => subscriptions::list(action, params),
        ("GET", ["subscriptions", id]) => retrieve(action, "subscription", id, params),
        ("POST", ["subscriptions", id]) => subscriptions::update(action, id, params),
        ("DELETE", ["subscriptions", id]) => subscriptions::cancel(action, id, params),
        _ => Err(Error::unrecognized(method, path)),
    }?;
    for path in expansions {
        expand::expand(action.state, &mut object, &path);
    }
    Ok(object)
}

fn retrieve(action: &Action, kind: &str, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    action.find(kind, id)
}
