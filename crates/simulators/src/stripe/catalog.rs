use serde_json::{Value, json};

use super::{action::Action, error::Error, form::Params, list, shape::text};

pub(super) fn create_product(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut product = json!({ "metadata": {}, "name": params.required("name")? });
    write_product(&mut product, params)?;
    Ok(add_product(action, product))
}

pub(super) fn list_products(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "product", "/v1/products", params, &["active"])
}

pub(super) fn update_product(
    action: &mut Action,
    id: &str,
    mut params: Params,
) -> Result<Value, Error> {
    let before = action.find("product", id)?;
    let mut product = before.clone();
    params.copy_texts(&mut product, &["name", "default_price"])?;
    write_product(&mut product, params)?;
    product["updated"] = action.now.into();
    action.update("product.updated", &before, &product);
    Ok(product)
}

fn write_product(product: &mut Value, mut params: Params) -> Result<(), Error> {
    let texts = ["description", "statement_descriptor", "tax_code", "unit_label", "url"];
    params.copy_texts(product, &texts)?;
    params.copy_metadata(product)?;
    if let Some(active) = params.flag("active")? {
        product["active"] = active.into();
    }
    params.done()
}

fn add_product(action: &mut Action, mut fields: Value) -> Value {
    fields["updated"] = action.now.into();
    let product = action.create("product", fields);
    action.emit("product.created", &product);
    product
}

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
        let amount = params.integer("unit_amount")?;
        let amount = amount.ok_or_else(|| Error::missing(&params.name("unit_amount")))?;
        if amount < 0 {
            return Err(Error::invalid(
                &params.name("unit_amount"),
                "Invalid non-negative integer",
            ));
        }
        let mut fields = json!({
            "currency": currency,
            "unit_amount": amount,
            "unit_amount_decimal": amount.to_string(),
        });
        params.copy_texts(&mut fields, &["tax_behavior"])?;
        if let Some(recurring) = params.map("recurring")? {
            fields["recurring"] = read_recurring(recurring)?;
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
            ProductOf::New(fields) => text(&add_product(action, fields), "id").to_owned(),
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
        if let Some(mut data) = params.map("product_data")? {
            let mut product = json!({ "metadata": {}, "name": data.required("name")? });
            write_product(&mut product, data)?;
            return Ok(Self::New(product));
        }
        let param = params.name("product");
        let id = params.required("product")?;
        action.refer("product", &id, &param)?;
        Ok(Self::Existing(id))
    }
}

fn read_recurring(mut params: Params) -> Result<Value, Error> {
    let missing = Error::missing(&params.name("interval"));
    let interval = params.one_of("interval", &["day", "week", "month", "year"])?.ok_or(missing)?;
    let count = params.integer("interval_count")?.unwrap_or(1);
    if !(1..=1095).contains(&count) {
        return Err(Error::invalid(&params.name("interval_count"), "Invalid interval count"));
    }
    params.one_of("usage_type", &["licensed"])?;
    params.done()?;
    Ok(json!({
        "interval": interval,
        "interval_count": count,
        "meter": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    }))
}

pub(super) fn create_price(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut price = NewPrice::read(action, &mut params)?;
    price.fields["metadata"] = json!({});
    let transfer = params.flag("transfer_lookup_key")?.unwrap_or(false);
    write_price(action, &mut price.fields, transfer, params)?;
    let taken = holder_of(action, text(&price.fields, "lookup_key"));
    if let Some(mut holder) = taken {
        holder["lookup_key"] = Value::Null;
        action.save(&holder);
    }
    Ok(price.add(action))
}

pub(super) fn update_price(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    let before = action.find("price", id)?;
    let mut price = before.clone();
    write_price(action, &mut price, false, params)?;
    action.update("price.updated", &before, &price);
    Ok(price)
}

fn write_price(
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

pub(super) fn list_prices(action: &Action, mut params: Params) -> Result<Value, Error> {
    let keys = params.texts("lookup_keys")?;
    if keys.is_empty() {
        return list::list(action, "price", "/v1/prices", params, &["active", "product", "type"]);
    }
    let found = keys.iter().filter_map(|key| holder_of(action, key));
    let active = params.flag("active")?;
    let found = found.filter(|price| active.is_none_or(|active| price["active"] == active));
    list::page(found.collect(), "/v1/prices", params)
}
