use serde_json::{Value, json};

use super::{
    action::Action,
    coupons::{self, at_least_one},
    error::Error,
    form::Params,
    list,
    shape::{integer, text},
};

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let coupon = read_coupon(action, &mut params)?;
    let mut code = json!({
        "metadata": {},
        "promotion": { "coupon": coupon["id"], "type": "coupon" },
    });
    code["code"] = match params.text("code")? {
        Some(given) => given.to_uppercase().into(),
        None => action.state.next_id("P").replace('_', "").to_uppercase().into(),
    };
    if find(action, text(&code, "code")).is_some() {
        let message = "An active promotion code with `code` already exists.";
        return Err(Error::invalid("code", message));
    }
    if let Some(customer) = params.text("customer")? {
        code["customer"] = action.refer("customer", &customer, "customer")?["id"].clone();
    }
    code["expires_at"] = params.integer("expires_at")?.into();
    code["max_redemptions"] = at_least_one(&mut params, "max_redemptions")?.into();
    code["restrictions"] = read_restrictions(&mut params)?;
    write(&mut code, params)?;
    let code = action.create("promotion_code", code);
    action.emit("promotion_code.created", &code);
    Ok(code)
}

/// The coupon it stands for: `promotion[coupon]`, or `coupon` as it was called before.
fn read_coupon(action: &Action, params: &mut Params) -> Result<Value, Error> {
    if let Some(id) = params.text("coupon")? {
        return action.refer("coupon", &id, "coupon");
    }
    let mut promotion = params.map("promotion")?.ok_or_else(|| Error::missing("promotion"))?;
    promotion.one_of("type", &["coupon"])?;
    let id = promotion.required("coupon")?;
    promotion.done()?;
    action.refer("coupon", &id, "promotion[coupon]")
}

fn read_restrictions(params: &mut Params) -> Result<Value, Error> {
    let mut restrictions = json!({
        "first_time_transaction": false,
        "minimum_amount": null,
        "minimum_amount_currency": null,
    });
    let Some(mut given) = params.map("restrictions")? else { return Ok(restrictions) };
    if let Some(first) = given.flag("first_time_transaction")? {
        restrictions["first_time_transaction"] = first.into();
    }
    restrictions["minimum_amount"] = given.integer("minimum_amount")?.into();
    given.copy_texts(&mut restrictions, &["minimum_amount_currency"])?;
    given.done()?;
    Ok(restrictions)
}

fn write(code: &mut Value, mut params: Params) -> Result<(), Error> {
    if let Some(active) = params.flag("active")? {
        code["active"] = active.into();
    }
    params.copy_metadata(code)?;
    params.done()
}

pub(super) fn update(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    let before = action.find("promotion_code", id)?;
    let mut code = before.clone();
    write(&mut code, params)?;
    action.update("promotion_code.updated", &before, &code);
    Ok(code)
}

pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let code = params.text("code")?.map(|code| code.to_uppercase());
    let coupon = params.text("coupon")?;
    let active = params.flag("active")?;
    let customer = params.text("customer")?;
    let wanted = |promotion: &&Value| {
        code.as_ref().is_none_or(|code| promotion["code"] == code.as_str())
            && coupon.as_ref().is_none_or(|id| promotion["promotion"]["coupon"] == id.as_str())
            && active.is_none_or(|active| promotion["active"] == active)
            && customer.as_ref().is_none_or(|id| promotion["customer"] == id.as_str())
    };
    let found = action.state.all("promotion_code").rev().filter(wanted).cloned().collect();
    list::page(found, "/v1/promotion_codes", params)
}

/// The active promotion code that people type as `code`.
pub(super) fn find<'a>(action: &'a Action, code: &str) -> Option<&'a Value> {
    let mut all = action.state.all("promotion_code");
    all.find(|promotion| {
        promotion["active"] == true && text(promotion, "code").eq_ignore_ascii_case(code)
    })
}

/// Why `customer` cannot use it for a purchase of `amount`, if so.
pub(super) fn objection(
    action: &Action,
    promotion: &Value,
    customer: &str,
    amount: i64,
) -> Option<&'static str> {
    let coupon = action.state.get("coupon", text(&promotion["promotion"], "coupon"))?;
    let used_up = promotion["max_redemptions"].as_i64();
    let used_up = used_up.is_some_and(|most| integer(promotion, "times_redeemed") >= most);
    let late = promotion["expires_at"].as_i64().is_some_and(|until| until <= action.now);
    if promotion["active"] != true || used_up || late || !coupons::is_valid(coupon, action.now) {
        return Some("This promotion code cannot be redeemed any more.");
    }
    if promotion["customer"].as_str().is_some_and(|only| only != customer) {
        return Some("This promotion code is for another customer.");
    }
    let restrictions = &promotion["restrictions"];
    if restrictions["minimum_amount"].as_i64().is_some_and(|least| amount < least) {
        return Some("This promotion code needs a larger order.");
    }
    let paid = |charge: &Value| charge["customer"] == customer && charge["paid"] == true;
    if restrictions["first_time_transaction"] == true && action.state.all("charge").any(paid) {
        return Some("This promotion code is for new customers.");
    }
    None
}

/// Counts a redemption of it and of its coupon.
pub(super) fn redeem(action: &mut Action, id: &str) {
    let Some(mut promotion) = action.state.get("promotion_code", id).cloned() else { return };
    let times = integer(&promotion, "times_redeemed") + 1;
    promotion["times_redeemed"] = times.into();
    if promotion["max_redemptions"].as_i64().is_some_and(|most| times >= most) {
        promotion["active"] = false.into();
    }
    action.save(&promotion);
    coupons::redeem(action, text(&promotion["promotion"], "coupon"));
}
