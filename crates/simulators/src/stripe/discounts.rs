use serde_json::{Value, json};

use super::{
    action::Action,
    coupons,
    error::Error,
    form::Params,
    period, promotion_codes,
    shape::{integer, text},
    state::State,
};

/// A discount as a call asks for it.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// A coupon.
    Coupon(String),
    /// What a customer typed.
    PromotionCode(String),
    /// One that is there already.
    Discount(String),
}

/// Reads `discounts[…]`; `None` when nothing is said about them, and an empty list when they are to go.
pub(super) fn read(params: &mut Params) -> Result<Option<Vec<Asked>>, Error> {
    if params.emptied("discounts") {
        return Ok(Some(Vec::new()));
    }
    let given = params.maps("discounts")?;
    if given.is_empty() {
        return Ok(None);
    }
    given.into_iter().map(Asked::read).collect::<Result<_, _>>().map(Some)
}

impl Asked {
    fn read(mut params: Params) -> Result<Self, Error> {
        let name = params.name("coupon");
        let asked = if let Some(id) = params.text("coupon")? {
            Self::Coupon(id)
        } else if let Some(id) = params.text("promotion_code")? {
            Self::PromotionCode(id)
        } else {
            Self::Discount(params.text("discount")?.ok_or_else(|| Error::missing(&name))?)
        };
        params.done()?;
        Ok(asked)
    }

    /// The coupon behind it, unless `customer` cannot redeem it for a purchase of `amount`.
    pub(super) fn check(
        &self,
        action: &Action,
        customer: &str,
        amount: i64,
    ) -> Result<Value, Error> {
        let id = match self {
            Self::Coupon(id) => id.clone(),
            Self::PromotionCode(id) => {
                let promotion = action.refer("promotion_code", id, "promotion_code")?;
                if let Some(why) = promotion_codes::objection(action, &promotion, customer, amount)
                {
                    return Err(Error::invalid("promotion_code", why));
                }
                text(&promotion["promotion"], "coupon").to_owned()
            }
            Self::Discount(id) => {
                let discount = action.refer("discount", id, "discount")?;
                return Ok(coupon_of(action.state, &discount));
            }
        };
        let coupon = action.refer("coupon", &id, "coupon")?;
        if coupons::is_valid(&coupon, action.now) {
            return Ok(coupon);
        }
        let message = format!("Coupon {id} is used up or expired.");
        Err(Error::malformed("coupon_expired", "coupon", message))
    }

    /// How a session shows it.
    pub(super) fn shown(&self) -> Value {
        match self {
            Self::Coupon(id) => json!({ "coupon": id, "promotion_code": null }),
            Self::PromotionCode(id) => json!({ "coupon": null, "promotion_code": id }),
            Self::Discount(_) => Value::Null,
        }
    }

    /// What a session shows, read back.
    pub(super) fn of(shown: &Value) -> Option<Self> {
        if let Some(id) = shown["promotion_code"].as_str() {
            return Some(Self::PromotionCode(id.to_owned()));
        }
        shown["coupon"].as_str().map(|id| Self::Coupon(id.to_owned()))
    }

    /// Redeems it, for whatever `fields` name; the id of the discount comes back.
    pub(super) fn redeem(
        &self,
        action: &mut Action,
        customer: &str,
        amount: i64,
        fields: Value,
    ) -> Result<Value, Error> {
        if let Self::Discount(id) = self {
            return Ok(id.as_str().into());
        }
        let coupon = self.check(action, customer, amount)?;
        let months = json!({ "interval": "month", "interval_count": coupon["duration_in_months"] });
        let end = (coupon["duration"] == "repeating")
            .then(|| period::end(&months, action.now, action.now));
        let mut discount = action.shape("discount", fields);
        discount["customer"] = customer.into();
        discount["end"] = end.into();
        discount["source"]["coupon"] = coupon["id"].clone();
        discount["start"] = action.now.into();
        match self {
            Self::PromotionCode(id) => {
                discount["promotion_code"] = id.as_str().into();
                promotion_codes::redeem(action, id);
            }
            _ => coupons::redeem(action, text(&coupon, "id")),
        }
        if let Some(discount) = discount.as_object_mut() {
            // The only object that says when it starts instead.
            discount.remove("created");
        }
        action.state.coupons.insert(text(&discount, "id").to_owned(), coupon);
        action.save(&discount);
        action.emit("customer.discount.created", &discount);
        Ok(discount["id"].clone())
    }
}

/// The coupon of a discount, as it was when it was redeemed: deleting it changes nothing for its holders.
pub(super) fn coupon_of(state: &State, discount: &Value) -> Value {
    state.coupons.get(text(discount, "id")).cloned().unwrap_or_default()
}

/// Takes discounts off invoice lines: writes down on each line what, and returns the sum of each.
pub(super) fn apply(
    action: &Action,
    discounts: &[Value],
    lines: &mut [Value],
    currency: &str,
) -> Vec<Value> {
    let mut totals = Vec::new();
    for id in discounts {
        let id = id.as_str().unwrap_or_default();
        let Some(discount) = action.state.get("discount", id) else { continue };
        if discount["end"].as_i64().is_some_and(|end| end <= action.now) {
            continue;
        }
        let coupon = coupon_of(action.state, discount);
        let mut left = coupons::fixed_sum(&coupon, currency);
        let mut total = 0;
        for line in lines.iter_mut().filter(|line| line["discountable"] == true) {
            let product = text(&line["pricing"]["price_details"], "product");
            let due = integer(line, "amount") - taken_off(line);
            let off = coupons::takes_off(&coupon, product, due, left);
            left -= off.min(left);
            total += off;
            if let (true, Some(amounts)) = (off > 0, line["discount_amounts"].as_array_mut()) {
                amounts.push(json!({ "amount": off, "discount": id }));
            }
        }
        totals.push(json!({ "amount": total, "discount": id }));
    }
    totals
}

/// What the discounts of a line take off it.
pub(super) fn taken_off(line: &Value) -> i64 {
    let amounts = line["discount_amounts"].as_array();
    amounts.into_iter().flatten().map(|off| integer(off, "amount")).sum()
}

/// What something of `product` costs after the discounts, for prorations, which are net of them.
pub(super) fn net(action: &Action, discounts: &[Value], product: &str, amount: i64) -> i64 {
    let line = json!({
        "amount": amount,
        "discount_amounts": [],
        "discountable": true,
        "pricing": { "price_details": { "product": product } },
    });
    // A fixed sum is taken off whole invoices only.
    let percents: Vec<Value> = discounts
        .iter()
        .filter(|id| {
            let discount = action.state.get("discount", id.as_str().unwrap_or_default());
            discount.is_some_and(|it| coupon_of(action.state, it)["percent_off"].is_number())
        })
        .cloned()
        .collect();
    let mut lines = [line];
    apply(action, &percents, &mut lines, "");
    amount - taken_off(&lines[0])
}

/// Those of `discounts` that also count for the invoice after one that took off `totals`.
pub(super) fn remaining(action: &mut Action, discounts: &Value, totals: &[Value]) -> Value {
    let used = |id: &Value| {
        totals.iter().any(|total| total["discount"] == *id && integer(total, "amount") > 0)
    };
    let (mut kept, mut ended) = (Vec::new(), Vec::new());
    for id in discounts.as_array().into_iter().flatten() {
        let discount = action.state.get("discount", id.as_str().unwrap_or_default());
        let Some(discount) = discount.cloned() else { continue };
        let once = coupon_of(action.state, &discount)["duration"] == "once";
        let over = discount["end"].as_i64().is_some_and(|end| end <= action.now);
        if over || (once && used(id)) { ended.push(discount) } else { kept.push(id.clone()) }
    }
    for discount in ended {
        action.emit("customer.discount.deleted", &discount);
    }
    kept.into()
}
