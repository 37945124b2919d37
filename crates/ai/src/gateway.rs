use std::{sync::Arc, time::Duration};

use axum::Extension;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use kernel::NanoUsd;
use quotas::{Call, Hold, Quotas, Used};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use usage::{Model, ModelKind, Outcome, PriceBook, Quantities};
use web::{Caller, Problem, RequestId};

use crate::{
    Config,
    error::ProviderError,
    provider::Provider,
    usage_report::{UsageReport, estimate_tokens},
};

/// Whose models the price book has for the one provider that is configured.
const PROVIDER: &str = "openai";

/// The gateway: price book, quotas and provider, and the calls in flight.
#[derive(Clone, Debug)]
pub struct Ai {
    prices: PriceBook,
    quotas: Quotas,
    provider: Arc<Provider>,
    /// Calls are owned by these tasks, not by the connections that asked for them.
    tasks: TaskTracker,
    pub(crate) idle: Duration,
}

/// What is asked of the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// Its name in usage records.
    pub(crate) name: &'static str,
    /// Its address below the provider's base URL.
    pub(crate) path: &'static str,
    /// The models that can do it.
    pub(crate) kind: ModelKind,
}

/// A call that wants to be made.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// For what it reserves.
    pub(crate) call: Call,
    /// The most that it can use.
    pub(crate) at_most: Quantities,
    /// What the provider is sent.
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn new(
        caller: &Caller,
        operation: Operation,
        model: Model,
        at_most: Quantities,
        request_id: Option<Extension<RequestId>>,
        body: Bytes,
    ) -> Self {
        let call = Call {
            org: caller.org,
            user: caller.user,
            api_key: caller.api_key(),
            project: None,
            operation: operation.name,
            provider: model.provider,
            model: model.name,
            max_tokens: at_most.tokens(),
            max_cost: model.price.cost(&at_most),
            price: model.price,
            request_id: request_id.map(|Extension(id)| id.as_str().to_owned()),
        };
        Self { operation, call, at_most, body }
    }
}

/// What is known of a finished answer.
#[derive(Deserialize)]
struct Answer {
    usage: Option<UsageReport>,
    error: Option<serde::de::IgnoredAny>,
}

impl Ai {
    /// A gateway that sends calls where `config` says.
    pub fn new(prices: PriceBook, quotas: Quotas, config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            prices,
            quotas,
            provider: Arc::new(Provider::new(config)?),
            tasks: TaskTracker::new(),
            idle: Duration::from_secs(config.ai_idle_seconds),
        })
    }

    /// Waits until every call in flight is settled. No new one may be started then.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.provider
    }

    pub(crate) fn prices(&self) -> &PriceBook {
        &self.prices
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tasks.spawn(task)
    }

    /// The model that `caller` named, with its price.
    pub(crate) async fn model(&self, name: &str, operation: Operation) -> Result<Model, Problem> {
        Ok(self.prices.find(PROVIDER, name, operation.kind).await?)
    }

    /// Reserves the most that the call can cost. Only then may the provider be asked.
    pub(crate) async fn reserve(&self, call: Call) -> Result<Hold, Problem> {
        Ok(self.quotas.reserve(call).await?)
    }

    /// Asks the provider for a whole answer and books what it used. All of it, the reservation too,
    /// is a task of its own: a client that leaves can leave nothing behind half-done.
    pub(crate) async fn complete(&self, asked: Asked) -> Result<Bytes, Problem> {
        let (answer, answered) = oneshot::channel();
        let ai = self.clone();
        self.spawn(async move {
            let result = match ai.reserve(asked.call.clone()).await {
                Ok(hold) if answer.is_closed() => return ai.release(&hold).await,
                Ok(hold) => ai.complete_held(&hold, asked).await,
                Err(problem) => Err(problem),
            };
            // The client may have gone; everything is booked all the same.
            let _ = answer.send(result);
        });
        answered.await.unwrap_or_else(|error| Err(Problem::internal(error)))
    }

    async fn complete_held(&self, hold: &Hold, asked: Asked) -> Result<Bytes, Problem> {
        let at_most = asked.at_most;
        let fetched = tokio::time::timeout(self.time_limit(), self.fetch(asked)).await;
        match fetched.unwrap_or_else(|_| Err(ProviderError::outlived())) {
            Ok((body, usage)) => {
                self.book_answer(hold, usage, at_most, body.len()).await;
                Ok(body)
            }
            Err(error) => {
                self.book_failure(hold, &error).await;
                Err(error.into())
            }
        }
    }

    /// The answer, and the usage it reports.
    async fn fetch(&self, asked: Asked) -> Result<(Bytes, Option<UsageReport>), ProviderError> {
        let response = self.provider.post(asked.operation.path, asked.body).await?;
        let lost = |reason: String| ProviderError::Lost { reason };
        let body = response.bytes().await.map_err(|error| lost(error.to_string()))?;
        match serde_json::from_slice::<Answer>(&body) {
            Ok(Answer { error: None, usage }) => Ok((body, usage)),
            _ => Err(lost("it is no answer".to_owned())),
        }
    }

    async fn book_answer(
        &self,
        hold: &Hold,
        usage: Option<UsageReport>,
        at_most: Quantities,
        received: usize,
    ) {
        if at_most.images > 0 {
            // Image models are priced per image; their tokens are a by-product.
            let quantities = Quantities { images: at_most.images, ..Quantities::default() };
            return self.book(hold, Outcome::Succeeded, Some(quantities), quantities).await;
        }
        let counted = usage.and_then(UsageReport::quantities);
        self.book(hold, Outcome::Succeeded, counted, estimate(at_most, received)).await;
    }

    /// Gives everything back: nobody waits for the call any more, and it was not made.
    pub(crate) async fn release(&self, hold: &Hold) {
        self.persist(|| self.quotas.release(hold.id)).await;
    }

    /// How long a call may take: it must end before its reservation does.
    pub(crate) fn time_limit(&self) -> Duration {
        self.quotas.hold_life().mul_f32(0.9)
    }

    /// Books a call that gave no answer: given back if the provider certainly billed nothing.
    pub(crate) async fn book_failure(&self, hold: &Hold, error: &ProviderError) {
        let (outcome, lost) = match error {
            ProviderError::Refused { .. } => ("refused", false),
            ProviderError::Unavailable { .. } => ("unavailable", false),
            ProviderError::Lost { .. } => ("unknown", true),
        };
        count(hold, outcome);
        self.persist(|| async {
            if lost { self.quotas.give_up(hold).await } else { self.quotas.release(hold.id).await }
        })
        .await;
    }

    /// Books what a call used: what the provider counted, else the estimate.
    pub(crate) async fn book(
        &self,
        hold: &Hold,
        outcome: Outcome,
        counted: Option<Quantities>,
        estimate: Quantities,
    ) {
        count(hold, if outcome == Outcome::Succeeded { "succeeded" } else { "partial" });
        let quantities = counted.unwrap_or(estimate);
        let cost: NanoUsd = hold.call.price.cost(&quantities);
        let credits = self.quotas.credits_for(hold.call.price.credits, cost);
        let used = Used { outcome, quantities, estimated: counted.is_none(), cost, credits };
        self.persist(|| self.quotas.settle(hold.id, used.clone())).await;
    }

    /// Tries for about a minute. What cannot be booked by then is left to the reaper, so that
    /// neither the customer pays for it nor the platform forgets it.
    async fn persist<F>(&self, settle: impl Fn() -> F)
    where
        F: Future<Output = quotas::Result<bool>>,
    {
        let backoff = ExponentialBuilder::default().with_max_times(8).with_jitter();
        let backoff = backoff.with_max_delay(Duration::from_secs(20));
        match settle.retry(backoff).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!("a call was settled after it had been given up"),
            Err(error) => tracing::error!(%error, "a call could not be settled"),
        }
    }
}

/// What a call used, for want of the provider's count: never more than was reserved.
pub(crate) fn estimate(at_most: Quantities, received: usize) -> Quantities {
    Quantities {
        // The prompt's bound is its bytes, and a token has about four of them.
        input_tokens: at_most.input_tokens.div_euclid(4).max(1).min(at_most.input_tokens),
        output_tokens: estimate_tokens(received).min(at_most.output_tokens),
        ..Quantities::default()
    }
}

fn count(hold: &Hold, outcome: &'static str) {
    let model = hold.call.model.clone();
    metrics::counter!("ai_calls_total", "model" => model, "outcome" => outcome).increment(1);
}
