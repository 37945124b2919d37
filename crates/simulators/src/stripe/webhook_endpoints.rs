use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};
use url::Url;

use super::{
    action::Action, error::Error, form::Params, list, shape::text, state::State, versions,
};

/// Where an event is sent, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) secret: String,
    /// The version in which objects are shown, when it is not the newest.
    pub(super) api_version: Option<String>,
}

/// The endpoints that want events of a type.
pub(super) fn targets(state: &State, kind: &str) -> Vec<Target> {
    let wants = |endpoint: &&Value| {
        let mut events = endpoint["enabled_events"].as_array().into_iter().flatten();
        endpoint["status"] == "enabled" && events.any(|event| event == "*" || event == kind)
    };
    let target = |endpoint: &Value| Target {
        url: text(endpoint, "url").to_owned(),
        secret: state.secrets.get(text(endpoint, "id")).cloned().unwrap_or_default(),
        api_version: endpoint["api_version"].as_str().map(str::to_owned),
    };
    state.all("webhook_endpoint").filter(wants).map(target).collect()
}

/// Adds an endpoint. Only now does its secret show.
pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let mut endpoint = json!({ "metadata": {} });
    params.required("url").map(|url| endpoint["url"] = url.into())?;
    if let Some(version) = params.text("api_version")? {
        versions::check(&version, "api_version")?;
        endpoint["api_version"] = version.into();
    }
    write(&mut endpoint, params)?;
    if endpoint["enabled_events"].is_null() {
        return Err(Error::missing("enabled_events"));
    }
    let mut endpoint = action.create("webhook_endpoint", endpoint);
    let secret = format!("whsec_{}", Alphanumeric.sample_string(&mut rand::rng(), 32));
    action.state.secrets.insert(text(&endpoint, "id").to_owned(), secret.clone());
    endpoint["secret"] = secret.into();
    Ok(endpoint)
}

pub(super) fn update(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let mut endpoint = existing(action, id)?;
    if let Some(disabled) = params.flag("disabled")? {
        endpoint["status"] = if disabled { "disabled" } else { "enabled" }.into();
    }
    params.copy_texts(&mut endpoint, &["url"])?;
    write(&mut endpoint, params)?;
    action.save(&endpoint);
    Ok(endpoint)
}

fn write(endpoint: &mut Value, mut params: Params) -> Result<(), Error> {
    params.copy_texts(endpoint, &["description"])?;
    params.copy_metadata(endpoint)?;
    let events = params.texts("enabled_events")?;
    if !events.is_empty() {
        endpoint["enabled_events"] = events.into();
    }
    params.done()?;
    let url = Url::parse(text(endpoint, "url"));
    if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Err(Error::malformed("url_invalid", "url", "Invalid URL"));
    }
    Ok(())
}

fn existing(action: &Action, id: &str) -> Result<Value, Error> {
    let endpoint = action.find("webhook_endpoint", id)?;
    if endpoint["deleted"] == true {
        return Err(Error::not_found("webhook_endpoint", id));
    }
    Ok(endpoint)
}

pub(super) fn retrieve(action: &Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    existing(action, id)
}

pub(super) fn delete(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    existing(action, id)?;
    let deleted = json!({ "id": id, "object": "webhook_endpoint", "deleted": true });
    action.state.secrets.remove(id);
    action.save(&deleted);
    Ok(deleted)
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    list::list(action, "webhook_endpoint", "/v1/webhook_endpoints", params, &[])
}
