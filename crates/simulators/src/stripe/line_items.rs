use serde_json::{Value, json};

use super::{
    action::Action,
    coupons,
    error::Error,
    form::Params,
    items::Bought,
    prices::NewPrice,
    shape::{integer, text},
};

/// A line of a checkout session as it was asked for: checked, but not made yet.
pub(super) struct NewLine {
    price: PriceOf,
    quantity: i64,
}

enum PriceOf {
    Existing(Value),
    New(NewPrice),
}

impl NewLine {
    /// Reads `line_items`, which must be in one currency and fit the mode of their session.
    pub(super) fn read_all(
        action: &Action,
        params: &mut Params,
        mode: &str,
    ) -> Result<Vec<Self>, Error> {
        let given = params.maps("line_items")?;
        let lines: Vec<Self> =
            given.into_iter().map(|line| Self::read(action, line)).collect::<Result<_, _>>()?;
        let Some(first) = lines.first() else { return Err(Error::missing("line_items")) };
        if lines.iter().any(|line| line.price.currency() != first.price.currency()) {
            return Err(Error::invalid("line_items", "All prices must be in the same currency."));
        }
        let recurring = lines.iter().any(|line| line.price.is_recurring());
        let message = match (mode, recurring) {
            ("payment", true) => "You specified `payment` mode but passed a recurring price.",
            ("subscription", false) => "You must provide at least one recurring price.",
            _ => return Ok(lines),
        };
        Err(Error::invalid("line_items", message))
    }

    fn read(action: &Action, mut params: Params) -> Result<Self, Error> {
        let quantity = params.integer("quantity")?.unwrap_or(1);
        if !(1..=999_999).contains(&quantity) {
            return Err(Error::invalid(&params.name("quantity"), "Invalid quantity"));
        }
        let price = PriceOf::read(action, &mut params)?;
        params.done()?;
        Ok(Self { price, quantity })
    }

    pub(super) fn add(self, action: &mut Action) -> Value {
        let price = match self.price {
            PriceOf::Existing(price) => price,
            PriceOf::New(price) => price.add(action),
        };
        let product = action.state.get("product", text(&price, "product"));
        let description = product.map(|product| product["name"].clone());
        let currency = price["currency"].clone();
        let bought = Bought { price, quantity: self.quantity };
        let fields = json!({
            "amount_subtotal": bought.amount(),
            "amount_total": bought.amount(),
            "currency": currency,
            "description": description,
            "price": bought.price,
            "quantity": bought.quantity,
        });
        action.shape("item", fields)
    }
}

impl PriceOf {
    fn read(action: &Action, params: &mut Params) -> Result<Self, Error> {
        if let Some(mut data) = params.map("price_data")? {
            let price = NewPrice::read(action, &mut data)?;
            data.done()?;
            return Ok(Self::New(price));
        }
        let param = params.name("price");
        let price = action.refer("price", &params.required("price")?, &param)?;
        if price["active"] != true {
            return Err(Error::invalid(&param, "The price specified is inactive."));
        }
        Ok(Self::Existing(price))
    }

    fn currency(&self) -> &str {
        match self {
            Self::Existing(price) => text(price, "currency"),
            Self::New(price) => price.currency(),
        }
    }

    fn is_recurring(&self) -> bool {
        match self {
            Self::Existing(price) => text(price, "type") == "recurring",
            Self::New(price) => price.is_recurring(),
        }
    }
}

/// What was bought with the line items of a session.
pub(super) fn bought(items: &[Value]) -> Vec<Bought> {
    let bought =
        |item: &Value| Bought { price: item["price"].clone(), quantity: integer(item, "quantity") };
    items.iter().map(bought).collect()
}

/// Takes coupons off the lines of a session; how much in all comes back.
pub(super) fn take_off(items: &mut [&mut Value], coupons: &[Value]) -> i64 {
    let mut total = 0;
    for item in items.iter_mut() {
        item["amount_discount"] = 0.into();
        item["amount_total"] = item["amount_subtotal"].clone();
    }
    for coupon in coupons {
        let currency = items.first().map_or("", |item| text(item, "currency"));
        let mut left = coupons::fixed_sum(coupon, currency);
        for item in items.iter_mut() {
            let due = integer(item, "amount_total");
            let off = coupons::takes_off(coupon, text(&item["price"], "product"), due, left);
            left -= off.min(left);
            total += off;
            item["amount_discount"] = (integer(item, "amount_discount") + off).into();
            item["amount_total"] = (due - off).into();
        }
    }
    total
}
