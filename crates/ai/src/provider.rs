use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, header::CONTENT_TYPE};
use http_body_util::Full;
use kernel::Breaker;
use tracing::{Instrument, info_span};

use crate::{
    Dialect,
    config::ProviderConfig,
    dialect::Sent,
    error::ProviderError,
    keys::{Key, Keys},
    refusal::{Blame, Failure},
    retry_budget::RetryBudget,
    upstream::{NoAnswer, Response, Upstream},
};

/// How often a call that was certainly not served is tried again.
const RETRIES: usize = 2;
/// The longest wait between two tries; a provider that asks for more is given up for this call.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A server that makes answers.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    /// Whether it makes batches of its own, as `OpenAI`'s Batch API.
    pub(crate) has_batches: bool,
    base_url: String,
    pub(crate) keys: Keys,
    retries: RetryBudget,
    breakers: Mutex<HashMap<String, Arc<Breaker>>>,
    pub(crate) upstream: Upstream,
    pub(crate) first_byte: Duration,
}

impl Provider {
    pub(crate) fn new(config: &ProviderConfig, upstream: Upstream, first_byte: Duration) -> Self {
        Self {
            name: config.name.clone(),
            dialect: config.dialect,
            has_batches: config.batches && config.dialect == Dialect::OpenAi,
            base_url: config.base_url.trim_end_matches('/').to_owned(),
            keys: Keys::new(&config.keys),
            retries: RetryBudget::default(),
            breakers: Mutex::default(),
            upstream,
            first_byte,
        }
    }

    /// Sends `sent` to `model`; answers when the provider's answer begins.
    ///
    /// Tries again after failures in which the provider certainly did nothing. A lost answer is not
    /// tried again: the provider may have billed it, and the reservation covers one call only.
    pub(crate) async fn post(&self, model: &str, sent: &Sent) -> Result<Response, ProviderError> {
        let breaker = self.breaker(model);
        let backoff = ExponentialBuilder::default().with_min_delay(Duration::from_millis(200));
        let mut delays = backoff.with_max_times(RETRIES).with_jitter().build();
        self.retries.earn();
        loop {
            let entered = breaker.enter(Instant::now());
            entered.map_err(|wait| ProviderError::unavailable("it rests after failures", wait))?;
            let span = info_span!("ai_call", provider = self.name, model);
            let (error, wait) = match self.post_once(&breaker, sent).instrument(span).await {
                Ok(response) => return Ok(response),
                Err(error @ ProviderError::Unavailable { retry_after, .. }) => (error, retry_after),
                Err(error) => return Err(error),
            };
            let delay = delays.next().map(|delay| delay.max(wait.unwrap_or_default()));
            match delay.filter(|delay| *delay <= LONGEST_WAIT && self.retries.spend()) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    async fn post_once(&self, breaker: &Breaker, sent: &Sent) -> Result<Response, ProviderError> {
        let key = self.keys.take();
        let key = key.map_err(|wait| ProviderError::unavailable("all its keys rest", wait))?;
        let Failure { error, blame } = match self.send(key, sent).await {
            Ok(response) => {
                breaker.succeeded();
                return Ok(response);
            }
            Err(failure) => failure,
        };
        match blame {
            Blame::Caller => breaker.succeeded(),
            Blame::Server => breaker.failed(Instant::now()),
            Blame::Busy(rest) => key.rest_for(rest),
            Blame::Key(rest) => {
                key.rest_for(rest);
                let (provider, index) = (self.name.clone(), key.index);
                tracing::error!(provider, index, %error, "an AI provider refuses one of its keys");
                metrics::counter!("ai_keys_refused_total", "provider" => provider).increment(1);
            }
        }
        tracing::warn!(provider = self.name, %error, "an AI provider gave no answer");
        Err(match error {
            // Another key may be free at once.
            ProviderError::Unavailable { reason, .. }
                if matches!(blame, Blame::Busy(_) | Blame::Key(_)) =>
            {
                ProviderError::Unavailable { reason, retry_after: Some(self.keys.wait()) }
            }
            error => error,
        })
    }

    async fn send(&self, key: &Key, sent: &Sent) -> Result<Response, Failure> {
        let request = self.request(Method::POST, sent.path, key, sent.body.clone());
        let answer = self.upstream.send(request.map_err(Failure::unanswered)?);
        match tokio::time::timeout(self.first_byte, answer).await {
            Err(_) => Err(Failure::lost(format!("silent for {:?}", self.first_byte))),
            Ok(Err(error)) => Err(Failure::unanswered(error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(response),
            Ok(Ok(response)) => Err(Failure::read(response).await),
        }
    }

    /// A request that shows the provider our key.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        key: &Key,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let unsendable = |reason: String| NoAnswer { unsent: true, reason };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_url))
            .body(Full::new(body));
        let mut request = request.map_err(|error| unsendable(error.to_string()))?;
        let headers = self.dialect.headers(&key.secret);
        *request.headers_mut() = headers.map_err(|error| unsendable(error.to_string()))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    fn breaker(&self, model: &str) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = breakers.get(model) {
            return breaker.clone();
        }
        breakers.entry(model.to_owned()).or_default().clone()
    }

    /// Whether the provider answers and accepts a key.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        let key =
            self.keys.take().ok().with_context(|| format!("{name} accepts none of its keys"))?;
        let answered = async {
            let request = self.request(Method::GET, "/models", key, Bytes::new())?;
            self.upstream.send(request).await
        };
        let answered = tokio::time::timeout(self.first_byte, answered).await;
        let answered = answered.with_context(|| format!("{name} does not answer"))?;
        let answered = answered.map_err(|error| anyhow::anyhow!(error.reason));
        let status = answered.with_context(|| format!("{name} does not answer"))?.status();
        ensure!(status.is_success(), "{name} answers {status}");
        Ok(())
    }
}
