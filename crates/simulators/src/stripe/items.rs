use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    period,
    shape::{integer, merge, shaped, text},
};

/// A price and how many of it.
pub(super) struct Bought {
    pub(super) price: Value,
    pub(super) quantity: i64,
}

impl Bought {
    pub(super) fn amount(&self) -> i64 {
        integer(&self.price, "unit_amount").saturating_mul(self.quantity)
    }

    fn of(item: &Value) -> Self {
        Self { price: item["price"].clone(), quantity: integer(item, "quantity") }
    }

    fn interval(&self) -> (&str, i64) {
        let recurring = &self.price["recurring"];
        (text(recurring, "interval"), integer(recurring, "interval_count"))
    }

    fn describe(&self, action: &Action) -> String {
        let product = action.state.get("product", text(&self.price, "product"));
        let name = product.map_or("", |product| text(product, "name"));
        format!("{} × {name}", self.quantity)
    }

    /// The fields of a subscription item that depend on what was bought.
    fn fields(&self) -> Value {
        let Self { price, quantity } = self;
        let recurring = &price["recurring"];
        let plan = shaped(
            "plan",
            json!({
                "id": price["id"],
                "amount": price["unit_amount"],
                "amount_decimal": price["unit_amount_decimal"],
                "created": price["created"],
                "currency": price["currency"],
                "interval": recurring["interval"],
                "interval_count": recurring["interval_count"],
                "metadata": price["metadata"],
                "nickname": price["nickname"],
                "product": price["product"],
            }),
        );
        json!({ "price": price, "plan": plan, "quantity": quantity })
    }
}

/// A subscription's item for `bought`, in its first period.
pub(super) fn make(action: &mut Action, subscription: &str, bought: &Bought, end: i64) -> Value {
    let mut item = action.shape("subscription_item", bought.fields());
    item["subscription"] = subscription.into();
    set_period(&mut item, (action.now, end));
    item
}

pub(super) fn period(item: &Value) -> (i64, i64) {
    (integer(item, "current_period_start"), integer(item, "current_period_end"))
}

pub(super) fn set_period(item: &mut Value, (start, end): (i64, i64)) {
    item["current_period_start"] = start.into();
    item["current_period_end"] = end.into();
}

/// The invoice line of a whole period of an item.
pub(super) fn line(action: &mut Action, item: &Value) -> Value {
    draw(action, &Bought::of(item), item, None)
}

/// The invoice line of something bought once.
pub(super) fn line_once(action: &mut Action, bought: &Bought) -> Value {
    let moment = json!({ "current_period_start": action.now, "current_period_end": action.now });
    draw(action, bought, &moment, None)
}

/// Applies one `items[…]` of a subscription's update; what it costs or saves comes back as invoice lines.
pub(super) fn change(
    action: &mut Action,
    item: &mut Value,
    mut to: Params,
) -> Result<Vec<Value>, Error> {
    let param = to.name("price");
    let old = Bought::of(item);
    let price = match to.text("price")? {
        Some(id) => action.refer("price", &id, &param)?,
        None => old.price.clone(),
    };
    let quantity = to.integer("quantity")?.unwrap_or(old.quantity);
    to.done()?;
    if price["recurring"].is_null() || quantity < 0 {
        return Err(Error::invalid(&param, "A subscription needs a recurring price."));
    }
    let new = Bought { price, quantity };
    let now = action.now;
    let (start, end) = period(item);
    let whole = (end - start).max(1);
    let remaining = |amount: i64| amount * (end - now).clamp(0, whole) / whole;

    let mut lines = vec![draw(action, &old, item, Some(-remaining(old.amount())))];
    merge(item, new.fields());
    if new.interval() == old.interval() {
        lines.push(draw(action, &new, item, Some(remaining(new.amount()))));
    } else {
        set_period(item, (now, period::end(&new.price["recurring"], now, now)));
        lines.push(line(action, item));
    }
    Ok(lines)
}

/// Writes an invoice line, for the whole price unless it is prorated.
fn draw(action: &mut Action, bought: &Bought, item: &Value, prorated: Option<i64>) -> Value {
    let (start, end) = period(item);
    let what = bought.describe(action);
    let (amount, description) = match prorated {
        None => (bought.amount(), what),
        Some(amount) if amount < 0 => (amount, format!("Unused time on {what}")),
        Some(amount) => (amount, format!("Remaining time on {what}")),
    };
    let parent = item["id"].as_str().map(|id| {
        json!({
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": null,
                "proration": prorated.is_some(),
                "proration_details": null,
                "subscription": item["subscription"],
                "subscription_item": id,
            },
            "type": "subscription_item_details",
        })
    });
    let fields = json!({
        "amount": amount,
        "currency": bought.price["currency"],
        "description": description,
        "parent": parent,
        "period": { "start": start, "end": end },
        "pricing": {
            "price_details": { "price": bought.price["id"], "product": bought.price["product"] },
            "type": "price_details",
            "unit_amount_decimal": bought.price["unit_amount_decimal"],
        },
        "quantity": bought.quantity,
        "quantity_decimal": bought.quantity.to_string(),
        "subtotal": amount,
    });
    action.shape("line_item", fields)
}
