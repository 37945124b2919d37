use std::sync::Arc;

use anyhow::anyhow;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::jwk::JwkSet;
use kernel::Clock;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::http::{Failure, Http};

/// Providers exchange keys days before they use them.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// A key nobody knows may be new; but whoever invents keys does not make us ask all the time.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// What a provider says about itself (OpenID Connect Discovery 1.0), asked for when needed.
pub(super) struct Discovery {
    issuer: String,
    http: Http,
    clock: Clock,
    known: Mutex<Option<Known>>,
}

struct Known {
    configuration: Arc<Configuration>,
    keys: Option<Arc<JwkSet>>,
    since: DateTime<Utc>,
    keys_since: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(super) names_itself: bool,
}

impl Discovery {
    pub(super) fn new(issuer: String, http: Http, clock: Clock) -> Self {
        Self { issuer, http, clock, known: Mutex::default() }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) async fn get(&self) -> Result<Arc<Configuration>, Failure> {
        let mut known = self.known.lock().await;
        self.configuration(&mut known).await
    }

    async fn configuration(
        &self,
        known: &mut Option<Known>,
    ) -> Result<Arc<Configuration>, Failure> {
        let now = self.clock.now();
        if let Some(known) = known.as_ref().filter(|known| now - known.since < FRESH) {
            return Ok(known.configuration.clone());
        }
        let base = self.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let found: Configuration = self.http.get(&url, None).await?;
        // Otherwise one provider could send people, and their codes, to another.
        if found.issuer != self.issuer {
            return Err(Failure::Nonsense(anyhow!("it calls itself {}", found.issuer)));
        }
        let configuration = Arc::new(found);
        *known = Some(Known {
            configuration: configuration.clone(),
            keys: None,
            since: now,
            keys_since: now,
        });
        Ok(configuration)
    }

    /// The keys it signs with, among them `kid` if there is such a one.
    pub(super) async fn keys(&self, kid: Option<&str>) -> Result<Arc<JwkSet>, Failure> {
        let mut guard = self.known.lock().await;
        let configuration = self.configuration(&mut guard).await?;
        let now = self.clock.now();
        let known = guard.as_mut().ok_or_else(|| Failure::Nonsense(anyhow!("no configuration")))?;
        if let Some(keys) = &known.keys {
            let has = kid.is_none_or(|kid| keys.find(kid).is_some());
            let age = now - known.keys_since;
            if age < FRESH && (has || age < PAUSE) {
                return Ok(keys.clone());
            }
        }
        let keys: JwkSet = self.http.get(configuration.jwks_uri.as_str(), None).await?;
        let keys = Arc::new(keys);
        known.keys = Some(keys.clone());
        known.keys_since = now;
        Ok(keys)
    }
}
