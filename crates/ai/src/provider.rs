use std::time::Duration;

use anyhow::{Context, ensure};
use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use bytes::Bytes;
use http::{StatusCode, header};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{Config, error::ProviderError};

/// How often a call that was certainly not served is tried again.
const RETRIES: usize = 2;
/// The longest wait between two tries; a provider that asks for more is given up for this call.
const LONGEST_WAIT: u64 = 5;

/// A server that speaks `OpenAI`'s API.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    client: Client,
    base_url: String,
    api_key: SecretString,
    first_byte: Duration,
}

impl Provider {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(
                config.ai_idle_seconds.max(config.ai_first_byte_seconds),
            ))
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .build()
            .context("build the AI provider's HTTP client")?;
        Ok(Self {
            client,
            base_url: config.openai_base_url.trim_end_matches('/').to_owned(),
            api_key: config.openai_api_key.clone().unwrap_or_default(),
            first_byte: Duration::from_secs(config.ai_first_byte_seconds),
        })
    }

    /// Sends `body`; answers when the provider's answer begins.
    ///
    /// Tries again after failures in which the provider certainly did nothing. A lost answer is not
    /// tried again: the provider may have billed it, and the reservation covers one call only.
    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Response, ProviderError> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_times(RETRIES)
            .with_jitter();
        (|| self.post_once(path, body.clone()))
            .retry(backoff.build())
            .when(|error| {
                matches!(error, ProviderError::Unavailable { retry_after, .. }
                    if retry_after.is_none_or(|wait| wait <= LONGEST_WAIT))
            })
            .adjust(|error, delay| match error {
                ProviderError::Unavailable { retry_after: Some(wait), .. } => {
                    delay.map(|delay| delay.max(Duration::from_secs(*wait)))
                }
                _ => delay,
            })
            .await
    }

    async fn post_once(&self, path: &str, body: Bytes) -> Result<Response, ProviderError> {
        let request = self
            .client
            .post(format!("{}{path}", self.base_url))
            .bearer_auth(self.api_key.expose_secret())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let answer = tokio::time::timeout(self.first_byte, request.send()).await;
        let lost = |reason: String| ProviderError::Lost { reason };
        match answer {
            Err(_) => Err(lost(format!("silent for {:?}", self.first_byte))),
            Ok(Err(error)) if error.is_connect() => {
                Err(ProviderError::Unavailable { reason: error.to_string(), retry_after: None })
            }
            Ok(Err(error)) => Err(lost(error.to_string())),
            Ok(Ok(response)) if response.status().is_success() => Ok(response),
            Ok(Ok(response)) => Err(refusal(response).await),
        }
    }

    /// Whether the provider answers and accepts our key.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let request = self.client.get(format!("{}/models", self.base_url));
        let response = request.bearer_auth(self.api_key.expose_secret()).send().await;
        let status = response.context("the AI provider does not answer")?.status();
        ensure!(status.is_success(), "the AI provider answers {status}");
        Ok(())
    }
}

async fn refusal(response: Response) -> ProviderError {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    match status.as_u16() {
        // A proxy gave up waiting; the provider behind it may have gone on.
        408 | 504 | 520..=527 => ProviderError::Lost { reason: format!("status {status}") },
        // These are about our account, key or address, not the caller's; we follow no redirects.
        300..=399 | 401..=404 | 429 | 500.. => {
            ProviderError::Unavailable { reason: format!("status {status}"), retry_after }
        }
        _ => {
            let body: Value = response.json().await.unwrap_or_default();
            let status = StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_REQUEST);
            ProviderError::Refused { status, error: body["error"].clone() }
        }
    }
}
