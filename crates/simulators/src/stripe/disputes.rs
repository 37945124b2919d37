use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    action::Action,
    balance::{self, Movement},
    error::Error,
    form::Params,
    list,
    shape::{integer, text},
};

const DAY: i64 = 24 * 3600;

/// What the bank keeps of a dispute, whoever wins it.
const FEE: i64 = 1500;

/// A cardholder who complains to their bank.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complaint {
    /// The charge that is disputed.
    pub charge: String,
    /// How much of it, in cents; all that was not given back if nothing is said.
    #[serde(default)]
    pub amount: Option<i64>,
    /// Stripe's word for why, like `fraudulent`.
    #[serde(default = "fraudulent")]
    pub reason: String,
    /// Whether the bank only asks, and takes no money yet.
    #[serde(default)]
    pub inquiry: bool,
}

fn fraudulent() -> String {
    "fraudulent".to_owned()
}

impl Complaint {
    /// A complaint about all of a charge.
    pub fn about(charge: impl Into<String>) -> Self {
        Self { charge: charge.into(), amount: None, reason: fraudulent(), inquiry: false }
    }
}

/// How a dispute ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The money comes back.
    Won,
    /// The money is gone.
    Lost,
}

/// Opens a dispute: the bank takes the money at once, unless it only asks.
pub(super) fn open(action: &mut Action, complaint: &Complaint) -> Result<Value, Error> {
    let charge = action.refer("charge", &complaint.charge, "charge")?;
    action.live_by(text(&charge, "customer"));
    let left = integer(&charge, "amount") - integer(&charge, "amount_refunded");
    let amount = complaint.amount.unwrap_or(left);
    if charge["paid"] != true || amount < 1 || amount > left {
        return Err(Error::invalid(
            "amount",
            format!("Only {left} of this charge can be disputed."),
        ));
    }
    if charge["disputed"] == true {
        return Err(Error::invalid("charge", "This charge is disputed already."));
    }
    let mut dispute = action.shape(
        "dispute",
        json!({
            "amount": amount,
            "charge": charge["id"],
            "currency": charge["currency"],
            "is_charge_refundable": complaint.inquiry,
            "payment_intent": charge["payment_intent"],
            "reason": complaint.reason,
            "status": if complaint.inquiry { "warning_needs_response" } else { "needs_response" },
        }),
    );
    let case = if complaint.inquiry { "inquiry" } else { "chargeback" };
    dispute["payment_method_details"]["card"]["case_type"] = case.into();
    dispute["evidence_details"]["due_by"] = (action.now + 7 * DAY).into();
    let mut disputed = charge.clone();
    disputed["disputed"] = true.into();
    if !complaint.inquiry {
        move_money(action, &mut dispute, "dispute", -amount, FEE);
    }
    action.save(&dispute);
    action.update("charge.updated", &charge, &disputed);
    action.emit("charge.dispute.created", &dispute);
    if !complaint.inquiry {
        action.emit("charge.dispute.funds_withdrawn", &dispute);
    }
    Ok(dispute)
}

fn move_money(action: &mut Action, dispute: &mut Value, category: &str, amount: i64, fee: i64) {
    let movement = Movement { kind: "adjustment", category, amount, fee, source: dispute };
    let id = balance::record(action, &movement);
    let transaction = id.as_str().and_then(|id| action.state.get("balance_transaction", id));
    let transaction = transaction.cloned().unwrap_or_default();
    if let Some(all) = dispute["balance_transactions"].as_array_mut() {
        all.push(transaction);
    }
}

/// Ends a dispute as the bank decides.
pub(super) fn decide(action: &mut Action, id: &str, verdict: Verdict) -> Result<Value, Error> {
    let before = pending(action, id)?;
    let mut after = before.clone();
    let inquiry = text(&before, "status").starts_with("warning_");
    after["status"] = match (inquiry, verdict) {
        (true, _) => "warning_closed",
        (false, Verdict::Won) => "won",
        (false, Verdict::Lost) => "lost",
    }
    .into();
    let reinstated = !inquiry && verdict == Verdict::Won;
    if reinstated {
        let amount = integer(&before, "amount");
        move_money(action, &mut after, "dispute_reversal", amount, 0);
    }
    if inquiry {
        // The charge can be disputed for real later.
        if let Some(charge) = action.state.get_mut("charge", text(&before, "charge")) {
            charge["disputed"] = false.into();
        }
    }
    action.update("charge.dispute.closed", &before, &after);
    if reinstated {
        action.emit("charge.dispute.funds_reinstated", &after);
    }
    Ok(after)
}

/// A dispute that is not decided.
fn pending(action: &mut Action, id: &str) -> Result<Value, Error> {
    let dispute = action.find("dispute", id)?;
    let charge = action.state.get("charge", text(&dispute, "charge")).cloned();
    action.live_by(text(&charge.unwrap_or_default(), "customer"));
    if matches!(text(&dispute, "status"), "won" | "lost" | "warning_closed") {
        return Err(Error::invalid("id", "This dispute is already closed."));
    }
    Ok(dispute)
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "dispute", "/v1/disputes", params, &["charge", "payment_intent"])
}

/// Keeps evidence, and sends it to the bank if told to.
pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = pending(action, id)?;
    let mut after = before.clone();
    params.copy_metadata(&mut after)?;
    let submit = params.flag("submit")?;
    let evidence = params.map("evidence")?;
    params.done()?;
    if let Some(mut evidence) = evidence {
        let names: Vec<String> = before["evidence"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect();
        for name in names.iter().filter(|name| *name != "enhanced_evidence") {
            evidence.copy_texts(&mut after["evidence"], &[name])?;
        }
        evidence.done()?;
        after["evidence_details"]["has_evidence"] = true.into();
        if submit != Some(false) {
            let inquiry = text(&before, "status").starts_with("warning_");
            let status = if inquiry { "warning_under_review" } else { "under_review" };
            after["status"] = status.into();
            after["evidence_details"]["submission_count"] = 1.into();
        }
    }
    action.update("charge.dispute.updated", &before, &after);
    Ok(after)
}

/// Gives up.
pub(super) fn close(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    decide(action, id, Verdict::Lost)
}
