use serde_json::{Value, json};

use super::{action::Action, error::Error, form::Params, list, products, shape::text};

/// Digits after the point that Stripe keeps of a price in cents.
const DECIMALS: u32 = 12;

/// A price as it was asked for: checked, but not made yet.
pub(super) struct NewPrice {
    fields: Value,
    product: ProductOf,
}

enum ProductOf {
    Existing(String),
    New(Value),
}

impl NewPrice {
    /// Reads what the creation of a price and a line item's `price_data` have in common.
    pub(super) fn read(action: &Action, params: &mut Params) -> Result<Self, Error> {
        let currency = params.required("currency")?.to_lowercase();
        let mut fields = json!({ "currency": currency });
        read_amount(&mut fields, params)?;
        params.copy_texts(&mut fields, &["tax_behavior"])?;
        if let Some(recurring) = params.map("recurring")? {
            fields["recurring"] = read_recurring(action, recurring)?;
            fields["type"] = "recurring".into();
        }
        Ok(Self { fields, product: ProductOf::read(action, params)? })
    }

    pub(super) fn currency(&self) -> &str {
        text(&self.fields, "currency")
    }

    pub(super) fn is_recurring(&self) -> bool {
        text(&self.fields, "type") == "recurring"
    }

    pub(super) fn add(self, action: &mut Action) -> Value {
        let product = match self.product {
            ProductOf::Existing(id) => id,
            ProductOf::New(fields) => text(&products::add(action, fields), "id").to_owned(),
        };
        let mut fields = self.fields;
        fields["product"] = product.into();
        let price = action.create("price", fields);
        action.emit("price.created", &price);
        price
    }
}

impl ProductOf {
    fn read(action: &Action, params: &mut Params) -> Result<Self, Error> {
        if let Some(data) = params.map("product_data")? {
            return products::read_data(data).map(Self::New);
        }
        let param = params.name("product");
        let id = params.required("product")?;
        action.refer("product", &id, &param)?;
        Ok(Self::Existing(id))
    }
}

/// Reads `unit_amount`, or `unit_amount_decimal` for parts of a cent.
fn read_amount(fields: &mut Value, params: &mut Params) -> Result<(), Error> {
    params.one_of("billing_scheme", &["per_unit"])?;
    let name = params.name("unit_amount");
    let amount = params.integer("unit_amount")?;
    let decimal = params.text("unit_amount_decimal")?;
    let decimal = match (amount, decimal) {
        (Some(_), Some(_)) => {
            let message = "You may only specify one of unit_amount and unit_amount_decimal.";
            return Err(Error::invalid(&name, message));
        }
        (Some(amount), None) => amount.to_string(),
        (None, Some(decimal)) => decimal,
        (None, None) => return Err(Error::missing(&name)),
    };
    if scaled(&decimal).is_none_or(|amount| amount < 0) {
        return Err(Error::invalid(&name, "Invalid non-negative amount"));
    }
    // Null unless it is whole cents.
    fields["unit_amount"] = decimal.parse::<i64>().ok().into();
    fields["unit_amount_decimal"] = decimal.into();
    Ok(())
}

/// A decimal number of cents in units of a trillionth.
fn scaled(decimal: &str) -> Option<i128> {
    let (whole, part) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = usize::try_from(DECIMALS).ok()?;
    if part.len() > digits || !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let part: i128 = format!("{part:0<digits$}").parse().ok()?;
    whole.checked_mul(10_i128.pow(DECIMALS))?.checked_add(part)
}

/// What `quantity` of a price cost, to the nearest cent.
pub(super) fn amount_of(price: &Value, quantity: i64) -> i64 {
    let one = 10_i128.pow(DECIMALS);
    let unit = scaled(text(price, "unit_amount_decimal")).unwrap_or_default();
    let amount = (unit.saturating_mul(quantity.into()) + one / 2).div_euclid(one);
    i64::try_from(amount).unwrap_or(i64::MAX)
}

fn read_recurring(action: &Action, mut params: Params) -> Result<Value, Error> {
    let missing = Error::missing(&params.name("interval"));
    let interval = params.one_of("interval", &["day", "week", "month", "year"])?.ok_or(missing)?;
    let count = params.integer("interval_count")?.unwrap_or(1);
    if !(1..=1095).contains(&count) {
        return Err(Error::invalid(&params.name("interval_count"), "Invalid interval count"));
    }
    let usage = params.one_of("usage_type", &["licensed", "metered"])?;
    let metered = usage.as_deref() == Some("metered");
    let name = params.name("meter");
    let meter = params.text("meter")?;
    params.done()?;
    match &meter {
        Some(id) if metered => drop(action.refer("billing.meter", id, &name)?),
        None if !metered => {}
        _ => return Err(Error::invalid(&name, "Metered prices, and only they, have a meter.")),
    }
    Ok(json!({
        "interval": interval,
        "interval_count": count,
        "meter": meter,
        "trial_period_days": null,
        "usage_type": usage.as_deref().unwrap_or("licensed"),
    }))
}

/// Refuses a price that cannot be subscribed to.
pub(super) fn check_recurring(price: &Value, param: &str) -> Result<(), Error> {
    if price["recurring"].is_null() {
        return Err(Error::invalid(param, "A subscription needs a recurring price."));
    }
    if price["active"] != true {
        return Err(Error::invalid(param, "The price specified is inactive."));
    }
    Ok(())
}

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut price = NewPrice::read(action, &mut params)?;
    price.fields["metadata"] = json!({});
    let transfer = params.flag("transfer_lookup_key")?.unwrap_or(false);
    write(action, &mut price.fields, transfer, params)?;
    release_key(action, text(&price.fields, "lookup_key"));
    Ok(price.add(action))
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = action.find("price", id)?;
    let mut price = before.clone();
    let transfer = params.flag("transfer_lookup_key")?.unwrap_or(false);
    params.copy_texts(&mut price, &["tax_behavior"])?;
    write(action, &mut price, transfer, params)?;
    if price["lookup_key"] != before["lookup_key"] {
        release_key(action, text(&price, "lookup_key"));
    }
    action.update("price.updated", &before, &price);
    Ok(price)
}

fn write(
    action: &Action,
    price: &mut Value,
    transfer: bool,
    mut params: Params,
) -> Result<(), Error> {
    let old_key = text(price, "lookup_key").to_owned();
    params.copy_texts(price, &["lookup_key", "nickname"])?;
    params.copy_metadata(price)?;
    if let Some(active) = params.flag("active")? {
        price["active"] = active.into();
    }
    params.done()?;
    let key = text(price, "lookup_key");
    if key != old_key && !transfer && holder_of(action, key).is_some() {
        let message = format!("A price (`{key}`) already uses that lookup key.");
        return Err(Error::invalid("lookup_key", message));
    }
    Ok(())
}

fn holder_of(action: &Action, lookup_key: &str) -> Option<Value> {
    let prices = action.state.all("price");
    prices
        .filter(|_| !lookup_key.is_empty())
        .find(|price| price["lookup_key"] == lookup_key)
        .cloned()
}

/// Takes a key from the price that has it.
fn release_key(action: &mut Action, lookup_key: &str) {
    if let Some(before) = holder_of(action, lookup_key) {
        let mut after = before.clone();
        after["lookup_key"] = Value::Null;
        action.update("price.updated", &before, &after);
    }
}

pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let keys = params.texts("lookup_keys")?;
    if keys.is_empty() {
        let filters = ["active", "currency", "product", "type"];
        return list::list(action, "price", "/v1/prices", params, &filters);
    }
    let found = keys.iter().filter_map(|key| holder_of(action, key));
    let active = params.flag("active")?;
    let found = found.filter(|price| active.is_none_or(|active| price["active"] == active));
    list::page(found.collect(), "/v1/prices", params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_cent_add_up_exactly() {
        let price = json!({ "unit_amount_decimal": "0.000125" });
        assert_eq!(amount_of(&price, 8_000_000), 1000);
        assert_eq!(amount_of(&price, 3_999), 0);
        assert_eq!(amount_of(&price, 4_000), 1);
        assert_eq!(amount_of(&json!({ "unit_amount_decimal": "1900" }), 3), 5700);
        assert_eq!(scaled("0.0000000000001"), None);
        assert_eq!(scaled("-1").map(i128::signum), Some(-1));
    }
}
