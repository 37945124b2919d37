//! Invoices: drawn up, changed for an hour, finalized, collected.

mod collect;
mod draft;
pub(super) mod page;
mod preview;

use serde_json::{Value, json};

pub(super) use self::{
    collect::{settle, settle_with},
    draft::{Draft, create, finalize as open},
    preview::preview,
};
use super::{
    action::Action,
    error::Error,
    form::Params,
    list, payment_methods,
    shape::{list_of, merge, text},
    state::State,
    subscriptions,
};

pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let subscription = params.text("subscription")?;
    let status = params.text("status")?;
    let customer = params.text("customer")?;
    let wanted = |invoice: &&Value| {
        let of = &invoice["parent"]["subscription_details"]["subscription"];
        subscription.as_ref().is_none_or(|id| of == id.as_str())
            && status.as_ref().is_none_or(|status| invoice["status"] == status.as_str())
            && customer.as_ref().is_none_or(|id| invoice["customer"] == id.as_str())
    };
    let invoices = action.state.all("invoice").rev().filter(wanted).cloned().collect();
    list::page(invoices, "/v1/invoices", params)
}

pub(super) fn lines(action: &Action, id: &str, params: Params) -> Result<Value, Error> {
    let invoice = action.find("invoice", id)?;
    let lines = invoice["lines"]["data"].as_array().cloned().unwrap_or_default();
    list::page(lines, &format!("/v1/invoices/{id}/lines"), params)
}

/// The payments of invoices: how a payment intent leads back to its invoice.
pub(super) fn list_payments(action: &Action, mut params: Params) -> Result<Value, Error> {
    let mut intent = None;
    if let Some(mut payment) = params.map("payment")? {
        payment.one_of("type", &["payment_intent"])?;
        intent = payment.text("payment_intent")?;
        payment.done()?;
    }
    let invoice = params.text("invoice")?;
    let status = params.text("status")?;
    let wanted = |payment: &&Value| {
        let of = &payment["payment"]["payment_intent"];
        invoice.as_ref().is_none_or(|id| payment["invoice"] == id.as_str())
            && status.as_ref().is_none_or(|status| payment["status"] == status.as_str())
            && intent.as_ref().is_none_or(|id| of == id.as_str())
    };
    let payments = action.state.all("invoice_payment").rev().filter(wanted).cloned().collect();
    list::page(payments, "/v1/invoice_payments", params)
}

/// The invoice a call is about, which must be in one of `states`.
fn in_state(action: &mut Action, id: &str, states: &[&str]) -> Result<Value, Error> {
    let invoice = action.find("invoice", id)?;
    action.live_by(text(&invoice, "customer"));
    let is = text(&invoice, "status");
    if states.contains(&is) {
        return Ok(invoice);
    }
    let message = match is {
        "paid" => "Invoice is already paid".to_owned(),
        _ => format!("This invoice is {is}; that is only possible while it is {states:?}."),
    };
    Err(Error::invalid("id", message))
}

pub(super) fn pay(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let mut invoice = in_state(action, id, &["draft", "open", "uncollectible"])?;
    let method = params.text("payment_method")?;
    let out_of_band = params.flag("paid_out_of_band")?.unwrap_or(false);
    params.flag("off_session")?;
    params.done()?;
    if out_of_band {
        if invoice["status"] == "draft" {
            draft::finalize(action, &mut invoice);
        }
        collect::mark_paid(action, &mut invoice, None, 0.into());
        subscriptions::after_payment(action, &invoice, true);
        return Ok(invoice);
    }
    let method = match method {
        Some(id) => {
            let customer = text(&invoice, "customer").to_owned();
            Some(payment_methods::named(action, &id, &customer, "payment_method")?)
        }
        None => collect::default_method(action, &invoice),
    };
    if settle_with(action, &mut invoice, method.as_ref()) {
        Ok(invoice)
    } else {
        Err(Error::card_declined())
    }
}

pub(super) fn finalize(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    params.flag("auto_advance")?;
    params.done()?;
    let mut invoice = in_state(action, id, &["draft"])?;
    draft::finalize(action, &mut invoice);
    Ok(invoice)
}

/// Cancels an open invoice: nothing is owed on it any more.
pub(super) fn void(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let mut invoice = in_state(action, id, &["open", "uncollectible"])?;
    close(action, &mut invoice, "void", "voided_at");
    action.emit("invoice.voided", &invoice);
    Ok(invoice)
}

pub(super) fn mark_uncollectible(
    action: &mut Action,
    id: &str,
    params: Params,
) -> Result<Value, Error> {
    params.done()?;
    let mut invoice = in_state(action, id, &["open"])?;
    close(action, &mut invoice, "uncollectible", "marked_uncollectible_at");
    action.emit("invoice.marked_uncollectible", &invoice);
    Ok(invoice)
}

/// The intent that collects an invoice.
pub(super) fn intent_of(action: &Action, invoice: &Value) -> Option<Value> {
    let payment = collect::payment_of(action, invoice)?;
    action.state.get("payment_intent", text(&payment["payment"], "payment_intent")).cloned()
}

/// Ends an invoice without payment.
pub(super) fn close(action: &mut Action, invoice: &mut Value, status: &str, moment: &str) {
    let closed = json!({ "auto_advance": false, "next_payment_attempt": null, "status": status });
    merge(invoice, closed);
    invoice["status_transitions"][moment] = action.now.into();
    action.save(invoice);
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = in_state(action, id, &["draft", "open", "paid", "uncollectible", "void"])?;
    let mut after = before.clone();
    params.copy_metadata(&mut after)?;
    params.copy_texts(&mut after, &["description", "footer"])?;
    if let Some(advance) = params.flag("auto_advance")? {
        after["auto_advance"] = advance.into();
    }
    params.done()?;
    action.update("invoice.updated", &before, &after);
    Ok(after)
}

/// The payments of an invoice, which it shows when asked to.
pub(super) fn payments_of(state: &State, id: &str) -> Value {
    let payments = state.all("invoice_payment").filter(|payment| payment["invoice"] == id);
    list_of("/v1/invoice_payments", payments.cloned().collect())
}
