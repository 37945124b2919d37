use serde_json::{Value, json};

use super::{
    action::Action,
    balance::{self, Movement},
    error::Error,
    form::Params,
    list,
    shape::{integer, text},
};

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "refund", "/v1/refunds", params, &["charge", "payment_intent"])
}

/// Gives back a charge, or the part of it that was not given back before.
pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let before = charge_of(action, &mut params)?;
    let amount = params.integer("amount")?;
    let mut fields = json!({ "metadata": {} });
    params.copy_metadata(&mut fields)?;
    fields["reason"] = params.one_of("reason", &REASONS)?.into();
    params.done()?;
    let amount = refundable(&before, amount)?;
    Ok(give_back(action, &before, amount, fields))
}

/// Gives back `amount` of a charge that has as much left.
pub(super) fn give_back(
    action: &mut Action,
    before: &Value,
    amount: i64,
    mut fields: Value,
) -> Value {
    action.live_by(text(before, "customer"));
    for field in ["currency", "customer", "payment_intent", "payment_method"] {
        fields[field] = before[field].clone();
    }
    fields["charge"] = before["id"].clone();
    fields["amount"] = amount.into();
    let mut refund = action.shape("refund", fields);
    let movement =
        Movement { kind: "refund", category: "refund", amount: -amount, fee: 0, source: &refund };
    refund["balance_transaction"] = balance::record(action, &movement);
    action.save(&refund);
    let charge = charge_after(before, amount, &refund);
    action.update("charge.refunded", before, &charge);
    action.emit("refund.created", &refund);
    refund
}

fn charge_of(action: &Action, params: &mut Params) -> Result<Value, Error> {
    if let Some(charge) = params.text("charge")? {
        return action.refer("charge", &charge, "charge");
    }
    let Some(intent) = params.text("payment_intent")? else {
        let message = "One of the following params should be provided: charge or payment_intent.";
        return Err(Error::malformed("parameter_missing", "charge", message));
    };
    let intent = action.refer("payment_intent", &intent, "payment_intent")?;
    let charge = text(&intent, "latest_charge");
    action.refer("charge", charge, "payment_intent").map_err(|_| {
        let message = "This PaymentIntent does not have a successful charge to refund.";
        Error::invalid("payment_intent", message)
    })
}

/// How much to give back: never more than what was taken and is still here.
fn refundable(charge: &Value, asked: Option<i64>) -> Result<i64, Error> {
    let id = text(charge, "id");
    if charge["paid"] != true {
        return Err(Error::invalid("charge", format!("Charge {id} did not succeed.")));
    }
    if charge["disputed"] == true {
        let message = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(Error::malformed("charge_disputed", "charge", message));
    }
    let (taken, returned) = (integer(charge, "amount"), integer(charge, "amount_refunded"));
    let left = taken - returned;
    if left == 0 {
        let message = format!("Charge {id} has already been refunded.");
        return Err(Error::malformed("charge_already_refunded", "charge", message));
    }
    match asked {
        None => Ok(left),
        Some(amount) if amount < 1 => {
            Err(Error::invalid("amount", "This value must be greater than or equal to 1."))
        }
        Some(amount) if amount > left => {
            let message = if returned == 0 {
                format!("Refund amount ({amount}) is greater than charge amount ({taken})")
            } else {
                format!(
                    "Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
                )
            };
            Err(Error::invalid("amount", message))
        }
        Some(amount) => Ok(amount),
    }
}

/// The charge after `more` of it was given back, by a refund that is new or known to it.
fn charge_after(before: &Value, more: i64, refund: &Value) -> Value {
    let mut charge = before.clone();
    let returned = integer(before, "amount_refunded") + more;
    charge["amount_refunded"] = returned.into();
    charge["refunded"] = (returned == integer(before, "amount")).into();
    if let Some(all) = charge["refunds"]["data"].as_array_mut() {
        match all.iter_mut().find(|known| known["id"] == refund["id"]) {
            Some(known) => *known = refund.clone(),
            None => all.insert(0, refund.clone()),
        }
    }
    charge
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = action.find("refund", id)?;
    let mut after = before.clone();
    params.copy_metadata(&mut after)?;
    params.done()?;
    action.update("refund.updated", &before, &after);
    Ok(after)
}

/// Lists the refunds of a charge.
pub(super) fn list_of(action: &Action, charge: &str, params: Params) -> Result<Value, Error> {
    action.find("charge", charge)?;
    let own = |refund: &&Value| refund["charge"] == charge;
    let found = action.state.all("refund").rev().filter(own).cloned().collect();
    list::page(found, &format!("/v1/charges/{charge}/refunds"), params)
}

/// Has a refund wait for the customer to say where to send it, or go on: no money moves by that.
pub(super) fn wait(action: &mut Action, id: &str, waits: bool) -> Result<Value, Error> {
    let before = action.refer("refund", id, "refund")?;
    if before["status"] == "failed" {
        return Err(Error::invalid("refund", "This refund has failed."));
    }
    let charge = action.refer("charge", text(&before, "charge"), "charge")?;
    action.live_by(text(&charge, "customer"));
    let mut after = before.clone();
    after["status"] = if waits { "requires_action" } else { "pending" }.into();
    action.update("refund.updated", &before, &after);
    action.emit("charge.refund.updated", &after);
    Ok(after)
}

/// Has the bank send a refund back, as it does when the card's account is closed: the money is ours again.
pub(super) fn fail(action: &mut Action, id: &str) -> Result<Value, Error> {
    let before = action.refer("refund", id, "refund")?;
    if before["status"] == "failed" {
        return Err(Error::invalid("refund", "This refund has failed already."));
    }
    let charge = action.refer("charge", text(&before, "charge"), "charge")?;
    action.live_by(text(&charge, "customer"));
    let amount = integer(&before, "amount");
    let mut after = before.clone();
    after["status"] = "failed".into();
    after["failure_reason"] = "lost_or_stolen_card".into();
    let (kind, category) = ("refund_failure", "refund_failure");
    let movement = Movement { kind, category, amount, fee: 0, source: &before };
    after["failure_balance_transaction"] = balance::record(action, &movement);
    action.update("refund.updated", &before, &after);
    let charge_now = charge_after(&charge, -amount, &after);
    action.update("charge.updated", &charge, &charge_now);
    action.emit("charge.refund.updated", &after);
    action.emit("refund.failed", &after);
    Ok(after)
}
