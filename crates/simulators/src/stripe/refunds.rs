use serde_json::{Value, json};

use super::{
    action::Action,
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

    for field in ["currency", "customer", "payment_intent", "payment_method"] {
        fields[field] = before[field].clone();
    }
    fields["charge"] = before["id"].clone();
    fields["amount"] = amount.into();
    let refund = action.create("refund", fields);
    let charge = refunded(&before, &refund);
    action.update("charge.refunded", &before, &charge);
    action.emit("refund.created", &refund);
    Ok(refund)
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

fn refunded(before: &Value, refund: &Value) -> Value {
    let mut charge = before.clone();
    let returned = integer(before, "amount_refunded") + integer(refund, "amount");
    charge["amount_refunded"] = returned.into();
    charge["refunded"] = (returned == integer(before, "amount")).into();
    if let Some(refunds) = charge["refunds"]["data"].as_array_mut() {
        refunds.insert(0, refund.clone());
    }
    charge
}
