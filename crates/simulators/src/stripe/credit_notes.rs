use serde_json::{Value, json};

use super::{
    action::Action,
    customer_balance,
    error::Error,
    form::Params,
    invoices, list, refunds,
    shape::{integer, list_of, merge, text},
};

const REASONS: [&str; 4] = ["duplicate", "fraudulent", "order_change", "product_unsatisfactory"];

/// Where the money of a credit note goes.
struct Split {
    /// Back to the card.
    refund: i64,
    /// To the customer's credit.
    credit: i64,
    /// Given back by other means.
    out_of_band: i64,
}

impl Split {
    fn read(params: &mut Params) -> Result<Self, Error> {
        let split = Self {
            refund: params.integer("refund_amount")?.unwrap_or(0),
            credit: params.integer("credit_amount")?.unwrap_or(0),
            out_of_band: params.integer("out_of_band_amount")?.unwrap_or(0),
        };
        if [split.refund, split.credit, split.out_of_band].iter().any(|amount| *amount < 0) {
            return Err(Error::invalid("refund_amount", "Invalid non-negative integer"));
        }
        Ok(split)
    }

    fn sum(&self) -> i64 {
        self.refund + self.credit + self.out_of_band
    }
}

/// Takes back a part of an invoice: of what is owed while it is open, of what was paid after that.
pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let id = params.required("invoice")?;
    let invoice = action.refer("invoice", &id, "invoice")?;
    action.live_by(text(&invoice, "customer"));
    let paid = match text(&invoice, "status") {
        "paid" => true,
        "open" => false,
        _ => return Err(Error::invalid("invoice", "The invoice must be open or paid.")),
    };
    let split = Split::read(&mut params)?;
    let amount = params.integer("amount")?.unwrap_or_else(|| split.sum());
    let mut note = json!({ "metadata": {}, "reason": params.one_of("reason", &REASONS)? });
    params.copy_texts(&mut note, &["memo"])?;
    params.copy_metadata(&mut note)?;
    params.done()?;
    let (field, left) = creditable(&invoice, paid);
    if amount < 1 || amount > left {
        let message = format!("The amount must be from 1 to {left}, what can still be credited.");
        return Err(Error::invalid("amount", message));
    }
    if paid && split.sum() != amount {
        let message = "The sum of refund, credit and out of band amounts must be the amount.";
        return Err(Error::invalid("amount", message));
    }
    action.all_or_nothing(|action| {
        let note = issue(action, &invoice, note, amount, paid);
        let note = if paid { settle(action, &invoice, note, &split)? } else { note };
        let mut after = action.find("invoice", &id)?;
        after[field] = (integer(&after, field) + amount).into();
        if !paid {
            let due = integer(&after, "amount_remaining") - amount;
            merge(&mut after, json!({ "amount_due": due, "amount_remaining": due }));
        }
        action.update("invoice.updated", &invoice, &after);
        action.save(&note);
        action.emit("credit_note.created", &note);
        if !paid && integer(&after, "amount_remaining") == 0 {
            invoices::settle(action, &mut after);
        }
        Ok(note)
    })
}

/// Which sum of the invoice grows by a credit note, and by how much at most.
fn creditable(invoice: &Value, paid: bool) -> (&'static str, i64) {
    if paid {
        let field = "post_payment_credit_notes_amount";
        (field, integer(invoice, "amount_paid") - integer(invoice, field))
    } else {
        ("pre_payment_credit_notes_amount", integer(invoice, "amount_remaining"))
    }
}

fn issue(action: &mut Action, invoice: &Value, fields: Value, amount: i64, paid: bool) -> Value {
    let before = action.state.all("credit_note").filter(|note| note["invoice"] == invoice["id"]);
    let number = format!("{}-CN-{:02}", text(invoice, "number"), before.count() + 1);
    let credited = &invoice["lines"]["data"][0];
    let line = json!({
        "amount": amount,
        "description": credited["description"],
        "invoice_line_item": credited["id"],
        "type": "invoice_line_item",
    });
    let line = action.shape("credit_note_line_item", line);
    let mut note = action.shape("credit_note", fields);
    let id = text(&note, "id").to_owned();
    for field in ["amount", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"] {
        note[field] = amount.into();
    }
    let kind = if paid { "post_payment" } else { "pre_payment" };
    note[format!("{kind}_amount")] = amount.into();
    let fields = json!({
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "effective_at": action.now,
        "invoice": invoice["id"],
        "lines": list_of(&format!("/v1/credit_notes/{id}/lines"), vec![line]),
        "number": number,
        "pdf": format!("{}/invoices/{}/pdf", action.origin.base_url, text(invoice, "id")),
        "type": kind,
    });
    merge(&mut note, fields);
    note
}

/// Gives the money of a paid invoice back.
fn settle(
    action: &mut Action,
    invoice: &Value,
    mut note: Value,
    split: &Split,
) -> Result<Value, Error> {
    if split.refund > 0 {
        let intent = invoices::intent_of(action, invoice).unwrap_or_default();
        let charge = action.refer("charge", text(&intent, "latest_charge"), "invoice")?;
        let left = integer(&charge, "amount") - integer(&charge, "amount_refunded");
        if charge["disputed"] == true || split.refund > left {
            return Err(Error::invalid("refund_amount", format!("Only {left} can be refunded.")));
        }
        let refund = refunds::give_back(action, &charge, split.refund, json!({ "metadata": {} }));
        note["refunds"] = json!([{
            "amount_refunded": split.refund,
            "payment_record_refund": null,
            "refund": refund["id"],
            "type": "refund",
        }]);
    }
    if split.credit > 0 {
        let fields = json!({
            "credit_note": note["id"],
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "metadata": {},
        });
        let customer = text(invoice, "customer");
        let change =
            customer_balance::change(action, customer, "credit_note", -split.credit, fields);
        note["customer_balance_transaction"] = change.map(|change| change["id"].clone()).into();
    }
    if split.out_of_band > 0 {
        note["out_of_band_amount"] = split.out_of_band.into();
    }
    Ok(note)
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    let filters = ["customer", "invoice"];
    list::list(action, "credit_note", "/v1/credit_notes", params, &filters)
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = action.find("credit_note", id)?;
    let mut after = before.clone();
    params.copy_metadata(&mut after)?;
    params.copy_texts(&mut after, &["memo"])?;
    params.done()?;
    action.update("credit_note.updated", &before, &after);
    Ok(after)
}
