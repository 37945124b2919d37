use axum::http::Method;
use serde_json::Value;

use super::{
    action::Action,
    balance, checkout, coupons, credit_notes, customer_balance, customers, disputes,
    error::Error,
    events, expand,
    form::Params,
    invoices, meter_events, meters, payment_methods, payments,
    portal::{self, configurations},
    prices, products, promotion_codes, refunds, schedules, subscriptions, tax_ids, test_clocks,
    webhook_endpoints,
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
    let mut object = match segments.as_slice() {
        ["billing", rest @ ..] => billing(action, method, rest, params),
        ["billing_portal", rest @ ..] => portal(action, method, rest, params),
        ["customers", rest @ ..] => customers(action, method, rest, params),
        ["checkout", "sessions", rest @ ..] => checkout(action, method, rest, params),
        ["invoices", rest @ ..] => invoices(action, method, rest, params),
        ["subscriptions", rest @ ..] => subscriptions(action, method, rest, params),
        ["coupons" | "prices" | "products" | "promotion_codes", ..] => {
            catalogue(action, method, &segments, params)
        }
        ["subscription_schedules", rest @ ..] => schedules(action, method, rest, params),
        ["test_helpers", "test_clocks", rest @ ..] => test_clocks(action, method, rest, params),
        rest => money(action, method, rest, params),
    }
    .unwrap_or_else(|| Err(Error::unrecognized(method, path)))?;
    for path in expansions {
        expand::expand(action.state, &mut object, &path);
    }
    Ok(object)
}

fn retrieve(action: &Action, kind: &str, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    action.find(kind, id)
}

/// `None` when there is no such route.
type Answered = Option<Result<Value, Error>>;

fn billing(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("POST", ["meters"]) => meters::create(action, params),
        ("GET", ["meters"]) => meters::list(action, params),
        ("GET", ["meters", id]) => retrieve(action, "billing.meter", id, params),
        ("POST", ["meters", id]) => meters::update(action, id, params),
        ("POST", ["meters", id, "deactivate"]) => meters::switch(action, id, false, params),
        ("POST", ["meters", id, "reactivate"]) => meters::switch(action, id, true, params),
        ("GET", ["meters", id, "event_summaries"]) => meters::summaries(action, id, params),
        ("POST", ["meter_events"]) => meter_events::create(action, params),
        ("POST", ["meter_event_adjustments"]) => meter_events::adjust(action, params),
        _ => return None,
    })
}

fn portal(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    let kind = "billing_portal.configuration";
    Some(match (method.as_str(), path) {
        ("POST", ["configurations"]) => configurations::create(action, params),
        ("GET", ["configurations"]) => configurations::list(action, params),
        ("GET", ["configurations", id]) => retrieve(action, kind, id, params),
        ("POST", ["configurations", id]) => configurations::update(action, id, params),
        ("POST", ["sessions"]) => portal::create(action, params),
        _ => return None,
    })
}

fn checkout(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("POST", []) => checkout::create(action, params),
        ("GET", []) => checkout::list(action, params),
        ("GET", [id]) => checkout::retrieve(action, id, params),
        ("POST", [id, "expire"]) => checkout::expire(action, id, params),
        ("GET", [id, "line_items"]) => checkout::items(action, id, params),
        _ => return None,
    })
}

fn customers(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("POST", []) => customers::create(action, params),
        ("GET", []) => customers::list(action, params),
        ("GET", [id]) => retrieve(action, "customer", id, params),
        ("POST", [id]) => customers::update(action, id, params),
        ("DELETE", [id]) => customers::delete(action, id, params),
        ("POST", [id, "balance_transactions"]) => customer_balance::create(action, id, params),
        ("GET", [id, "balance_transactions"]) => customer_balance::list(action, id, params),
        ("GET", [id, "payment_methods"]) => payment_methods::list_of(action, id, params),
        ("POST", [id, "tax_ids"]) => tax_ids::create(action, id, params),
        ("GET", [id, "tax_ids"]) => tax_ids::list(action, id, params),
        ("GET", [id, "tax_ids", tax_id]) => {
            params.done().and_then(|()| tax_ids::retrieve(action, id, tax_id))
        }
        ("DELETE", [id, "tax_ids", tax_id]) => {
            params.done().and_then(|()| tax_ids::delete(action, id, tax_id))
        }
        _ => return None,
    })
}

fn invoices(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("GET", []) => invoices::list(action, params),
        ("POST", ["create_preview"]) => invoices::preview(action, params),
        ("GET", [id]) => retrieve(action, "invoice", id, params),
        ("POST", [id]) => invoices::update(action, id, params),
        ("POST", [id, "finalize"]) => invoices::finalize(action, id, params),
        ("GET", [id, "lines"]) => invoices::lines(action, id, params),
        ("POST", [id, "mark_uncollectible"]) => invoices::mark_uncollectible(action, id, params),
        ("POST", [id, "pay"]) => invoices::pay(action, id, params),
        ("POST", [id, "void"]) => invoices::void(action, id, params),
        _ => return None,
    })
}

fn subscriptions(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("POST", []) => subscriptions::create(action, params),
        ("GET", []) => subscriptions::list(action, params),
        ("GET", [id]) => retrieve(action, "subscription", id, params),
        ("POST", [id]) => subscriptions::update(action, id, params),
        ("DELETE", [id]) => subscriptions::cancel(action, id, params),
        ("POST", [id, "resume"]) => subscriptions::resume(action, id, params),
        _ => return None,
    })
}

fn schedules(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("POST", []) => schedules::create(action, params),
        ("GET", []) => schedules::list(action, params),
        ("GET", [id]) => retrieve(action, "subscription_schedule", id, params),
        ("POST", [id]) => schedules::update(action, id, params),
        ("POST", [id, "release"]) => schedules::release(action, id, params),
        _ => return None,
    })
}

fn test_clocks(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("POST", []) => test_clocks::create(action, params),
        ("GET", []) => test_clocks::list(action, params),
        ("GET", [id]) => retrieve(action, "test_helpers.test_clock", id, params),
        ("POST", [id, "advance"]) => test_clocks::advance(action, id, params),
        ("DELETE", [id]) => test_clocks::delete(action, id, params),
        _ => return None,
    })
}

fn catalogue(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("POST", ["coupons"]) => coupons::create(action, params),
        ("GET", ["coupons"]) => coupons::list(action, params),
        ("GET", ["coupons", id]) => coupons::retrieve(action, id, params),
        ("POST", ["coupons", id]) => coupons::update(action, id, params),
        ("DELETE", ["coupons", id]) => coupons::delete(action, id, params),
        ("POST", ["prices"]) => prices::create(action, params),
        ("GET", ["prices"]) => prices::list(action, params),
        ("GET", ["prices", id]) => retrieve(action, "price", id, params),
        ("POST", ["prices", id]) => prices::update(action, id, params),
        ("POST", ["products"]) => products::create(action, params),
        ("GET", ["products"]) => products::list(action, params),
        ("GET", ["products", id]) => retrieve(action, "product", id, params),
        ("POST", ["products", id]) => products::update(action, id, params),
        ("DELETE", ["products", id]) => products::delete(action, id, params),
        ("POST", ["promotion_codes"]) => promotion_codes::create(action, params),
        ("GET", ["promotion_codes"]) => promotion_codes::list(action, params),
        ("GET", ["promotion_codes", id]) => retrieve(action, "promotion_code", id, params),
        ("POST", ["promotion_codes", id]) => promotion_codes::update(action, id, params),
        _ => return None,
    })
}

/// Payments and what is left of them, and what tells of it.
fn money(action: &mut Action, method: &Method, path: &[&str], params: Params) -> Answered {
    Some(match (method.as_str(), path) {
        ("GET", ["balance_transactions"]) => balance::list(action, params),
        ("GET", ["balance_transactions", id]) => {
            retrieve(action, "balance_transaction", id, params)
        }
        ("GET", ["charges"]) => payments::list_charges(action, params),
        ("GET", ["charges", id]) => retrieve(action, "charge", id, params),
        ("GET", ["charges", id, "refunds"]) => refunds::list_of(action, id, params),
        ("POST", ["credit_notes"]) => credit_notes::create(action, params),
        ("GET", ["credit_notes"]) => credit_notes::list(action, params),
        ("GET", ["credit_notes", id]) => retrieve(action, "credit_note", id, params),
        ("POST", ["credit_notes", id]) => credit_notes::update(action, id, params),
        ("GET", ["disputes"]) => disputes::list(action, params),
        ("GET", ["disputes", id]) => retrieve(action, "dispute", id, params),
        ("POST", ["disputes", id]) => disputes::update(action, id, params),
        ("POST", ["disputes", id, "close"]) => disputes::close(action, id, params),
        ("GET", ["events"]) => events::list(action, params),
        ("GET", ["events", id]) => retrieve(action, "event", id, params),
        ("GET", ["invoice_payments"]) => invoices::list_payments(action, params),
        ("GET", ["invoice_payments", id]) => retrieve(action, "invoice_payment", id, params),
        ("GET", ["payment_intents"]) => payments::list_intents(action, params),
        ("GET", ["payment_intents", id]) => retrieve(action, "payment_intent", id, params),
        ("GET", ["payment_methods"]) => payment_methods::list(action, params),
        ("GET", ["payment_methods", id]) => retrieve(action, "payment_method", id, params),
        ("POST", ["payment_methods", id, "attach"]) => payment_methods::attach(action, id, params),
        ("POST", ["payment_methods", id, "detach"]) => payment_methods::detach(action, id, params),
        ("POST", ["refunds"]) => refunds::create(action, params),
        ("GET", ["refunds"]) => refunds::list(action, params),
        ("GET", ["refunds", id]) => retrieve(action, "refund", id, params),
        ("POST", ["refunds", id]) => refunds::update(action, id, params),
        ("GET", ["subscription_items"]) => subscriptions::list_items(action, params),
        ("POST", ["webhook_endpoints"]) => webhook_endpoints::create(action, params),
        ("GET", ["webhook_endpoints"]) => webhook_endpoints::list(action, params),
        ("GET", ["webhook_endpoints", id]) => webhook_endpoints::retrieve(action, id, params),
        ("POST", ["webhook_endpoints", id]) => webhook_endpoints::update(action, id, params),
        ("DELETE", ["webhook_endpoints", id]) => webhook_endpoints::delete(action, id, params),
        _ => return None,
    })
}
