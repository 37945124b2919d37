use serde_json::{Value, json};

use super::{
    action::Action,
    discounts,
    invoice_lines::{Line, Proration},
    meters, period,
    prices::amount_of,
    shape::{integer, merge, shaped, text},
};

/// A price and how many of it.
#[derive(Clone, Debug)]
pub(super) struct Bought {
    pub(super) price: Value,
    pub(super) quantity: i64,
}

impl Bought {
    pub(super) fn amount(&self) -> i64 {
        amount_of(&self.price, self.quantity)
    }

    pub(super) fn of(item: &Value) -> Self {
        Self { price: item["price"].clone(), quantity: integer(item, "quantity") }
    }

    fn interval(&self) -> (&str, i64) {
        let recurring = &self.price["recurring"];
        (text(recurring, "interval"), integer(recurring, "interval_count"))
    }

    /// Whether what is used is paid for afterwards.
    pub(super) fn is_metered(&self) -> bool {
        self.price["recurring"]["usage_type"] == "metered"
    }

    pub(super) fn describe(&self, action: &Action) -> String {
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
                "meter": recurring["meter"],
                "nickname": price["nickname"],
                "product": price["product"],
                "usage_type": recurring["usage_type"],
            }),
        );
        json!({ "price": price, "plan": plan, "quantity": quantity })
    }

    /// A subscription's item for it.
    pub(super) fn item(
        &self,
        action: &mut Action,
        subscription: &str,
        period: (i64, i64),
    ) -> Value {
        let mut item = action.shape("subscription_item", self.fields());
        item["subscription"] = subscription.into();
        self.drop_quantity(&mut item);
        set_period(&mut item, period);
        item
    }

    /// Of what is metered nobody says beforehand how many there are.
    fn drop_quantity(&self, item: &mut Value) {
        if let (true, Some(fields)) = (self.is_metered(), item.as_object_mut()) {
            fields.remove("quantity");
        }
    }
}

pub(super) fn period(item: &Value) -> (i64, i64) {
    (integer(item, "current_period_start"), integer(item, "current_period_end"))
}

/// How often the first of some items is paid.
pub(super) fn interval_of(items: &[Value]) -> Value {
    let recurring = items.first().map(|item| &item["price"]["recurring"]);
    recurring.map_or(Value::Null, |it| json!([it["interval"], it["interval_count"]]))
}

pub(super) fn set_period(item: &mut Value, (start, end): (i64, i64)) {
    item["current_period_start"] = start.into();
    item["current_period_end"] = end.into();
}

/// The invoice line of the period that begins, paid in advance; metered prices have none.
pub(super) fn line(action: &mut Action, item: &Value) -> Option<Value> {
    let bought = Bought::of(item);
    let line = Line {
        amount: bought.amount(),
        bought: &bought,
        item,
        period: period(item),
        proration: None,
    };
    if bought.is_metered() { None } else { Some(line.draw(action)) }
}

/// The invoice line of what was used of a metered price in a period that ends.
pub(super) fn usage_line(action: &mut Action, item: &Value, customer: &str) -> Option<Value> {
    let mut bought = Bought::of(item);
    if !bought.is_metered() {
        return None;
    }
    let period = period(item);
    bought.quantity = meters::used(action.state, &bought.price, customer, period);
    let line = Line { amount: bought.amount(), bought: &bought, item, period, proration: None };
    Some(line.draw(action))
}

/// The invoice line of something bought once.
pub(super) fn line_once(action: &mut Action, bought: &Bought) -> Value {
    let now = action.now;
    let line = Line {
        bought,
        item: &Value::Null,
        period: (now, now),
        amount: bought.amount(),
        proration: None,
    };
    line.draw(action)
}

/// How a change of items is counted.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    /// Since when: usually now.
    pub(super) at: i64,
    /// Whether the time left costs anything; during a trial it does not.
    pub(super) charged: bool,
    /// Ids of the subscription's discounts.
    pub(super) discounts: &'a [Value],
}

impl Change<'_> {
    /// The part of an item's price for the rest of its period, net of discounts.
    fn rest(&self, action: &Action, bought: &Bought, (start, end): (i64, i64)) -> i64 {
        if !self.charged || bought.is_metered() {
            return 0;
        }
        let product = text(&bought.price, "product");
        let amount = discounts::net(action, self.discounts, product, bought.amount());
        let whole = (end - start).max(1);
        // To the nearest cent.
        (2 * amount * (end - self.at).clamp(0, whole) + whole) / (2 * whole)
    }

    /// The lines of an item that begins within a period.
    pub(super) fn begin(self, action: &mut Action, item: &Value) -> Vec<Value> {
        self.line(action, item, Proration::Remaining).into_iter().collect()
    }

    /// The lines of an item that ends before its period does.
    pub(super) fn end(self, action: &mut Action, item: &Value) -> Vec<Value> {
        self.line(action, item, Proration::Unused).into_iter().collect()
    }

    fn line(self, action: &mut Action, item: &Value, proration: Proration) -> Option<Value> {
        let bought = Bought::of(item);
        let (_, end) = period(item);
        let rest = self.rest(action, &bought, period(item));
        if !self.charged || bought.is_metered() {
            return None;
        }
        let amount = if proration == Proration::Unused { -rest } else { rest };
        let period = (self.at.min(end), end);
        let line = Line { bought: &bought, item, period, amount, proration: Some(proration) };
        Some(line.draw(action))
    }

    /// Makes an item one of `new`; what that costs or saves comes back as invoice lines.
    /// What stays as it was has none.
    pub(super) fn replace(self, action: &mut Action, item: &mut Value, new: &Bought) -> Vec<Value> {
        let old = Bought::of(item);
        if old.price["id"] == new.price["id"] && old.quantity == new.quantity {
            return Vec::new();
        }
        let mut lines = self.end(action, item);
        merge(item, new.fields());
        new.drop_quantity(item);
        if new.interval() == old.interval() || !self.charged {
            lines.extend(self.begin(action, item));
        } else {
            let now = action.now;
            set_period(item, (now, period::end(&new.price["recurring"], now, now)));
            lines.extend(line(action, item));
        }
        lines
    }
}
