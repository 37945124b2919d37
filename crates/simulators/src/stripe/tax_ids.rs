use serde_json::{Value, json};

use super::{action::Action, customers, error::Error, form::Params, list, shape::text};

pub(super) fn create(
    action: &mut Action,
    customer: &str,
    mut params: Params,
) -> Result<Value, Error> {
    customers::existing(action, customer)?;
    let kind = params.required("type")?;
    if !is_known(&kind) {
        return Err(Error::invalid("type", format!("Invalid type: {kind} is no kind of tax id")));
    }
    let value = params.required("value")?;
    params.done()?;
    let country = if kind.starts_with("eu_") { value.get(..2) } else { kind.get(..2) };
    let country = country.unwrap_or_default().to_uppercase();
    if kind == "eu_vat" && !plausible_vat(&value) {
        let message = format!("Invalid value for eu_vat: {value}");
        return Err(Error::malformed("tax_id_invalid", "value", message));
    }
    let tax_id = action.create(
        "tax_id",
        json!({
            "country": country,
            "customer": customer,
            "owner": { "customer": customer, "customer_account": null, "type": "customer" },
            "type": kind,
            "value": value,
        }),
    );
    action.emit("customer.tax_id.created", &tax_id);
    Ok(tax_id)
}

/// The kinds are named after a country, or the EU, and a number that it gives.
fn is_known(kind: &str) -> bool {
    let (country, number) = kind.split_once('_').unwrap_or_default();
    let letters = |text: &str| text.bytes().all(|sign| sign.is_ascii_lowercase() || sign == b'_');
    country.len() == 2 && (2..=8).contains(&number.len()) && letters(country) && letters(number)
}

/// Two letters of a country and up to twelve letters and digits.
fn plausible_vat(value: &str) -> bool {
    let (country, number) = value.split_at_checked(2).unwrap_or_default();
    country.bytes().all(|letter| letter.is_ascii_uppercase())
        && (2..=12).contains(&number.len())
        && number.bytes().all(|sign| sign.is_ascii_alphanumeric())
}

pub(super) fn retrieve(action: &mut Action, customer: &str, id: &str) -> Result<Value, Error> {
    customers::existing(action, customer)?;
    let tax_id = action.find("tax_id", id)?;
    if tax_id["customer"] == customer { Ok(tax_id) } else { Err(Error::not_found("tax_id", id)) }
}

pub(super) fn list(action: &Action, customer: &str, params: Params) -> Result<Value, Error> {
    let own = |tax_id: &&Value| text(tax_id, "customer") == customer;
    let found = action.state.all("tax_id").rev().filter(own).cloned().collect();
    list::page(found, &format!("/v1/customers/{customer}/tax_ids"), params)
}

pub(super) fn delete(action: &mut Action, customer: &str, id: &str) -> Result<Value, Error> {
    let tax_id = retrieve(action, customer, id)?;
    let deleted = json!({ "id": id, "object": "tax_id", "deleted": true });
    action.save(&deleted);
    action.emit("customer.tax_id.deleted", &tax_id);
    Ok(deleted)
}
