use serde_json::{Value, json};

use super::{
    action::Action,
    error::Error,
    form::Params,
    list,
    shape::{integer, text},
};

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut coupon = json!({ "metadata": {} });
    if let Some(id) = params.text("id")? {
        if action.state.get("coupon", &id).is_some_and(|known| known["deleted"] != true) {
            let message = "Coupon already exists.";
            return Err(Error::malformed("resource_already_exists", "id", message));
        }
        coupon["id"] = id.into();
    }
    read_worth(&mut coupon, &mut params)?;
    read_duration(&mut coupon, &mut params)?;
    coupon["max_redemptions"] = at_least_one(&mut params, "max_redemptions")?.into();
    coupon["redeem_by"] = params.integer("redeem_by")?.into();
    if let Some(mut applies) = params.map("applies_to")? {
        coupon["applies_to"] = json!({ "products": applies.texts("products")? });
        applies.done()?;
    }
    write(&mut coupon, params)?;
    let coupon = action.create("coupon", coupon);
    action.emit("coupon.created", &coupon);
    Ok(coupon)
}

fn read_worth(coupon: &mut Value, params: &mut Params) -> Result<(), Error> {
    let percent = params.text("percent_off")?;
    let amount = params.integer("amount_off")?;
    match (percent, amount) {
        (Some(percent), None) => {
            let invalid = || {
                let message = "This value must be greater than 0 and at most 100.";
                Error::invalid("percent_off", message)
            };
            let percent: f64 = percent.parse().map_err(|_| invalid())?;
            if !(percent > 0.0 && percent <= 100.0) {
                return Err(invalid());
            }
            // Stripe keeps two decimals.
            coupon["percent_off"] = ((percent * 100.0).round() / 100.0).into();
        }
        (None, Some(amount)) if amount > 0 => {
            coupon["amount_off"] = amount.into();
            coupon["currency"] = params.required("currency")?.to_lowercase().into();
        }
        _ => {
            let message = "You must pass either percent_off or a positive amount_off.";
            return Err(Error::invalid("percent_off", message));
        }
    }
    Ok(())
}

fn read_duration(coupon: &mut Value, params: &mut Params) -> Result<(), Error> {
    let duration = params.one_of("duration", &["forever", "once", "repeating"])?;
    let duration = duration.unwrap_or_else(|| "once".to_owned());
    let months = at_least_one(params, "duration_in_months")?;
    if (duration == "repeating") != months.is_some() {
        let message = "duration_in_months goes with a repeating duration, and only with it.";
        return Err(Error::invalid("duration_in_months", message));
    }
    coupon["duration"] = duration.into();
    coupon["duration_in_months"] = months.into();
    Ok(())
}

/// A positive integer.
pub(super) fn at_least_one(params: &mut Params, field: &str) -> Result<Option<i64>, Error> {
    let value = params.integer(field)?;
    if value.is_some_and(|value| value < 1) {
        let message = "This value must be greater than or equal to 1.";
        return Err(Error::invalid(&params.name(field), message));
    }
    Ok(value)
}

fn write(coupon: &mut Value, mut params: Params) -> Result<(), Error> {
    params.copy_texts(coupon, &["name"])?;
    params.copy_metadata(coupon)?;
    params.done()
}

pub(super) fn update(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    let before = existing(action, id)?;
    let mut coupon = before.clone();
    write(&mut coupon, params)?;
    action.update("coupon.updated", &before, &coupon);
    Ok(coupon)
}

/// Deletes a coupon: nobody can redeem it any more, but who has it keeps it.
pub(super) fn delete(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let coupon = existing(action, id)?;
    let deleted = json!({ "id": id, "object": "coupon", "deleted": true });
    action.save(&deleted);
    action.emit("coupon.deleted", &coupon);
    Ok(deleted)
}

pub(super) fn retrieve(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    let mut coupon = existing(action, id)?;
    coupon["valid"] = is_valid(&coupon, action.now).into();
    Ok(coupon)
}

fn existing(action: &Action, id: &str) -> Result<Value, Error> {
    let coupon = action.find("coupon", id)?;
    if coupon["deleted"] == true { Err(Error::not_found("coupon", id)) } else { Ok(coupon) }
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "coupon", "/v1/coupons", params, &[])
}

/// Whether it can still be redeemed.
pub(super) fn is_valid(coupon: &Value, now: i64) -> bool {
    let used_up = coupon["max_redemptions"].as_i64();
    let used_up = used_up.is_some_and(|most| integer(coupon, "times_redeemed") >= most);
    let late = coupon["redeem_by"].as_i64().is_some_and(|until| until <= now);
    !used_up && !late && coupon["deleted"] != true
}

/// Counts a redemption; the last one makes it invalid.
pub(super) fn redeem(action: &mut Action, id: &str) {
    let Some(mut coupon) = action.state.get("coupon", id).cloned() else { return };
    coupon["times_redeemed"] = (integer(&coupon, "times_redeemed") + 1).into();
    coupon["valid"] = is_valid(&coupon, action.now).into();
    action.save(&coupon);
}

/// How much of `amount` cents, for something of `product`, it takes off; of a fixed sum `left` is left.
pub(super) fn takes_off(coupon: &Value, product: &str, amount: i64, left: i64) -> i64 {
    let products = coupon["applies_to"]["products"].as_array();
    if amount <= 0 || products.is_some_and(|all| !all.iter().any(|id| id == product)) {
        return 0;
    }
    match coupon["percent_off"].as_f64() {
        Some(percent) => percent_of(amount, percent),
        None => left.min(amount),
    }
}

/// Computed in hundredths of a percent, so that a cent is never off by what a float cannot hold.
#[expect(clippy::cast_possible_truncation, reason = "between 0 and 10,000")]
fn percent_of(amount: i64, percent: f64) -> i64 {
    let hundredths = (percent * 100.0).round() as i64;
    (amount * hundredths + 5_000) / 10_000
}

/// What it takes off at most, when that is a fixed sum.
pub(super) fn fixed_sum(coupon: &Value, currency: &str) -> i64 {
    if text(coupon, "currency") == currency { integer(coupon, "amount_off") } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_rounded_to_the_nearest_cent() {
        let coupon = json!({ "percent_off": 33.33 });
        assert_eq!(takes_off(&coupon, "prod_1", 1900, 0), 633);
        assert_eq!(takes_off(&json!({ "percent_off": 100.0 }), "prod_1", 1900, 0), 1900);
        assert_eq!(takes_off(&json!({ "percent_off": 25.5 }), "prod_1", 10, 0), 3);
    }

    #[test]
    fn a_coupon_for_some_products_leaves_the_others_alone() {
        let coupon = json!({ "amount_off": 500, "applies_to": { "products": ["prod_1"] } });
        assert_eq!(takes_off(&coupon, "prod_1", 1900, 500), 500);
        assert_eq!(takes_off(&coupon, "prod_1", 300, 500), 300);
        assert_eq!(takes_off(&coupon, "prod_2", 1900, 500), 0);
    }
}
