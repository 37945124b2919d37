use serde_json::{Value, json};

use super::{error::Error, form::Params, subscriptions};

/// Reads what a session only shows, or hands on to the page.
pub(super) fn read(session: &mut Value, params: &mut Params) -> Result<(), Error> {
    let texts = [
        "billing_address_collection",
        "client_reference_id",
        "locale",
        "payment_method_collection",
        "submit_type",
    ];
    params.copy_texts(session, &texts)?;
    params.copy_metadata(session)?;
    params.one_of("ui_mode", &["hosted_page"])?;
    if let Some(allowed) = params.flag("allow_promotion_codes")? {
        session["allow_promotion_codes"] = allowed.into();
    }
    let methods = params.texts("payment_method_types")?;
    if !methods.is_empty() {
        session["payment_method_types"] = methods.into();
    }
    if enabled(params, "automatic_tax")? {
        let tax = json!({
            "enabled": true,
            "liability": { "type": "self" },
            "provider": "stripe",
            "status": "complete",
        });
        session["automatic_tax"] = tax;
    }
    if enabled(params, "tax_id_collection")? {
        session["tax_id_collection"] = json!({ "enabled": true, "required": "never" });
    }
    if enabled(params, "phone_number_collection")? {
        session["phone_number_collection"] = json!({ "enabled": true });
    }
    read_invoice(session, params)?;
    // Whether the customer takes over what is entered on the page.
    if let Some(mut update) = params.map("customer_update")? {
        for part in ["address", "name", "shipping"] {
            update.one_of(part, &["auto", "never"])?;
        }
        update.done()?;
    }
    Ok(())
}

/// Reads an option that is only switched on or off.
fn enabled(params: &mut Params, field: &str) -> Result<bool, Error> {
    let Some(mut option) = params.map(field)? else { return Ok(false) };
    let enabled = option.flag("enabled")?;
    option.done()?;
    Ok(enabled == Some(true))
}

/// Whether a single payment gets an invoice as well.
fn read_invoice(session: &mut Value, params: &mut Params) -> Result<(), Error> {
    let Some(mut creation) = params.map("invoice_creation")? else { return Ok(()) };
    let enabled = creation.flag("enabled")?.unwrap_or(false);
    let mut data = json!({
        "account_tax_ids": null,
        "custom_fields": null,
        "description": null,
        "footer": null,
        "issuer": null,
        "metadata": {},
        "rendering_options": null,
    });
    if let Some(mut given) = creation.map("invoice_data")? {
        given.copy_texts(&mut data, &["description", "footer"])?;
        given.copy_metadata(&mut data)?;
        given.done()?;
    }
    creation.done()?;
    session["invoice_creation"] = json!({ "enabled": enabled, "invoice_data": data });
    Ok(())
}

/// Reads what is to be written on the payment that a session leads to.
pub(super) fn read_payment(params: &mut Params) -> Result<Value, Error> {
    let mut data = json!({ "metadata": {} });
    let Some(mut given) = params.map("payment_intent_data")? else { return Ok(data) };
    given.copy_metadata(&mut data)?;
    let texts = [
        "description",
        "receipt_email",
        "setup_future_usage",
        "statement_descriptor",
        "statement_descriptor_suffix",
    ];
    given.copy_texts(&mut data, &texts)?;
    given.done()?;
    Ok(data)
}

/// Reads what is to be written on the subscription that a session leads to, and its trial.
pub(super) fn read_subscription(now: i64, params: &mut Params) -> Result<Value, Error> {
    let mut fields = json!({ "metadata": {} });
    let Some(mut given) = params.map("subscription_data")? else {
        return Ok(json!({ "fields": fields, "trial": null }));
    };
    given.copy_metadata(&mut fields)?;
    given.copy_texts(&mut fields, &["description"])?;
    subscriptions::read_trial_settings(&mut fields, &mut given)?;
    // Counted from now here, and from the purchase there.
    let trial = subscriptions::read_trial(now, &mut given)?.map(|end| end - now);
    given.done()?;
    Ok(json!({ "fields": fields, "trial": trial }))
}
