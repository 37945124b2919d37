use app::EventType;
use egress::Egress;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{Endpoint, Error, Result};

/// A webhook endpoint to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
pub(crate) struct NewEndpoint {
    /// Where events are posted: https, and a host on the internet.
    #[schema(max_length = 2048, example = "https://example.com/webhooks")]
    url: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 200)]
    description: String,
    /// The types it is told of; none: all.
    #[serde(default)]
    events: Vec<String>,
}

/// What to change of a webhook endpoint; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChange)]
pub(crate) struct EndpointChange {
    /// Where events are posted: https, and a host on the internet.
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// What it is for.
    #[schema(max_length = 200)]
    description: Option<String>,
    /// The types it is told of; none: all.
    events: Option<Vec<String>>,
    /// Whether events are sent. What happens while they are not is kept, and sent when they are again.
    enabled: Option<bool>,
}

/// What its owner decides about an endpoint, checked.
pub(crate) struct Checked {
    pub(crate) url: String,
    pub(crate) description: String,
    pub(crate) events: Vec<String>,
    pub(crate) enabled: bool,
}

/// What an endpoint is held to.
pub(crate) struct Rules<'a> {
    pub(crate) egress: &'a Egress,
    pub(crate) types: &'a [EventType],
}

impl Rules<'_> {
    pub(crate) fn check(&self, new: NewEndpoint) -> Result<Checked> {
        Ok(Checked {
            url: self.url(&new.url)?,
            description: description(&new.description)?,
            events: self.events(new.events)?,
            enabled: true,
        })
    }

    /// What `endpoint` is to be. What stays is not checked again.
    pub(crate) fn check_change(
        &self,
        endpoint: &Endpoint,
        change: EndpointChange,
    ) -> Result<Checked> {
        let url = change.url.map(|it| self.url(&it)).transpose()?;
        let text = change.description.map(|it| description(&it)).transpose()?;
        let events = change.events.map(|it| self.events(it)).transpose()?;
        Ok(Checked {
            url: url.unwrap_or_else(|| endpoint.url.clone()),
            description: text.unwrap_or_else(|| endpoint.description.clone()),
            events: events.unwrap_or_else(|| endpoint.events.clone()),
            enabled: change.enabled.unwrap_or(endpoint.enabled),
        })
    }

    fn url(&self, text: &str) -> Result<String> {
        Ok(self.egress.target(text)?.as_str().to_owned())
    }

    fn events(&self, mut names: Vec<String>) -> Result<Vec<String>> {
        names.sort_unstable();
        names.dedup();
        let known = |name: &str| self.types.iter().any(|it| it.name == name);
        match names.iter().find(|name| !known(name)) {
            Some(unknown) => Err(Error::UnknownType(unknown.chars().take(100).collect())),
            None => Ok(names),
        }
    }
}

fn description(text: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err(Error::Description);
    }
    Ok(text.to_owned())
}
