use serde_json::{Value, json};

use crate::stripe::{action::Action, error::Error, form::Params, list, shape::merge};

/// The configuration that counts where none is named.
pub(super) fn default(action: &mut Action) -> Value {
    let mut all = action.state.all("billing_portal.configuration");
    if let Some(known) = all.find(|configuration| configuration["is_default"] == true) {
        return known.clone();
    }
    drop(all);
    let fields = json!({ "is_default": true, "updated": action.now });
    action.create("billing_portal.configuration", fields)
}

pub(in crate::stripe) fn create(action: &mut Action, params: Params) -> Result<Value, Error> {
    let fields = json!({ "metadata": {}, "updated": action.now });
    let mut configuration = action.shape("billing_portal.configuration", fields);
    write(&mut configuration, params)?;
    action.save(&configuration);
    action.emit("billing_portal.configuration.created", &configuration);
    Ok(configuration)
}

pub(in crate::stripe) fn update(
    action: &mut Action,
    id: &str,
    params: Params,
) -> Result<Value, Error> {
    let before = action.find("billing_portal.configuration", id)?;
    let mut after = before.clone();
    write(&mut after, params)?;
    after["updated"] = action.now.into();
    action.update("billing_portal.configuration.updated", &before, &after);
    Ok(after)
}

pub(in crate::stripe) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    let url = "/v1/billing_portal/configurations";
    list::list(action, "billing_portal.configuration", url, params, &["active", "is_default"])
}

fn write(configuration: &mut Value, mut params: Params) -> Result<(), Error> {
    params.copy_texts(configuration, &["default_return_url", "name"])?;
    params.copy_metadata(configuration)?;
    if let Some(active) = params.flag("active")? {
        configuration["active"] = active.into();
    }
    if let Some(mut profile) = params.map("business_profile")? {
        let texts = ["headline", "privacy_policy_url", "terms_of_service_url"];
        profile.copy_texts(&mut configuration["business_profile"], &texts)?;
        profile.done()?;
    }
    if let Some(mut page) = params.map("login_page")? {
        let enabled = page.flag("enabled")?.unwrap_or(false);
        configuration["login_page"]["enabled"] = enabled.into();
        page.done()?;
    }
    if let Some(mut features) = params.map("features")? {
        write_features(&mut configuration["features"], &mut features)?;
        features.done()?;
    }
    params.done()
}

fn write_features(known: &mut Value, features: &mut Params) -> Result<(), Error> {
    let names = [
        "customer_update",
        "invoice_history",
        "payment_method_update",
        "subscription_cancel",
        "subscription_update",
    ];
    for name in names {
        let Some(mut given) = features.map(name)? else { continue };
        let feature = &mut known[name];
        if let Some(enabled) = given.flag("enabled")? {
            feature["enabled"] = enabled.into();
        }
        match name {
            "customer_update" => {
                feature["allowed_updates"] = given.texts("allowed_updates")?.into();
            }
            "subscription_cancel" => write_cancel(feature, &mut given)?,
            "subscription_update" => write_update(feature, &mut given)?,
            _ => {}
        }
        given.done()?;
    }
    Ok(())
}

fn write_cancel(feature: &mut Value, given: &mut Params) -> Result<(), Error> {
    if let Some(mode) = given.one_of("mode", &["at_period_end", "immediately"])? {
        feature["mode"] = mode.into();
    }
    given.copy_texts(feature, &["proration_behavior"])?;
    if let Some(mut reason) = given.map("cancellation_reason")? {
        let enabled = reason.flag("enabled")?.unwrap_or(false);
        let options = reason.texts("options")?;
        feature["cancellation_reason"] = json!({ "enabled": enabled, "options": options });
        reason.done()?;
    }
    Ok(())
}

fn write_update(feature: &mut Value, given: &mut Params) -> Result<(), Error> {
    let allowed = given.texts("default_allowed_updates")?;
    merge(feature, json!({ "default_allowed_updates": allowed }));
    given.copy_texts(feature, &["proration_behavior"])?;
    let mut products = Vec::new();
    for mut product in given.maps("products")? {
        let id = product.required("product")?;
        products.push(json!({ "product": id, "prices": product.texts("prices")? }));
        product.done()?;
    }
    if !products.is_empty() {
        feature["products"] = products.into();
    }
    Ok(())
}
