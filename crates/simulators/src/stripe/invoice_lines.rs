use serde_json::{Value, json};

use super::{action::Action, items::Bought};

/// What an invoice line is about.
pub(super) struct Line<'a> {
    pub(super) bought: &'a Bought,
    /// The subscription item, or null for what is bought once.
    pub(super) item: &'a Value,
    pub(super) period: (i64, i64),
    pub(super) amount: i64,
    /// `None` for a whole period.
    pub(super) proration: Option<Proration>,
}

/// Which part of a period a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proration {
    /// What was paid for and is not used, given back.
    Unused,
    /// The rest of the period with what was changed to.
    Remaining,
}

impl Line<'_> {
    pub(super) fn draw(self, action: &mut Action) -> Value {
        let Self { bought, item, period: (start, end), amount, proration } = self;
        let what = bought.describe(action);
        let description = match proration {
            None => what,
            Some(Proration::Unused) => format!("Unused time on {what}"),
            Some(Proration::Remaining) => format!("Remaining time on {what}"),
        };
        let parent = item["id"].as_str().map(|id| {
            json!({
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null,
                    "proration": proration.is_some(),
                    "proration_details": { "credited_items": null },
                    "subscription": item["subscription"],
                    "subscription_item": id,
                },
                "type": "subscription_item_details",
            })
        });
        let price = &bought.price;
        let fields = json!({
            "amount": amount,
            "currency": price["currency"],
            "description": description,
            // Prorations are net of discounts already.
            "discountable": proration.is_none(),
            "parent": parent,
            "period": { "start": start, "end": end },
            "pricing": {
                "price_details": { "price": price["id"], "product": price["product"] },
                "type": "price_details",
                "unit_amount_decimal": price["unit_amount_decimal"],
            },
            "quantity": bought.quantity,
            "quantity_decimal": bought.quantity.to_string(),
            "subtotal": amount,
        });
        action.shape("line_item", fields)
    }
}

/// Whether a line corrects one of an earlier invoice.
pub(super) fn is_proration(line: &Value) -> bool {
    line["parent"]["subscription_item_details"]["proration"] == true
}
