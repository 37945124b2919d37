use kernel::NanoUsd;
use quotas::{Hold, Standing, Used};
use usage::{Outcome, Quantities};

use crate::{Ai, error::ProviderError, usage_report::estimate_tokens};

/// What a call was booked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Booked {
    pub(crate) quantities: Quantities,
    pub(crate) cost: NanoUsd,
    pub(crate) credits: i64,
    /// What is left.
    pub(crate) standing: Standing,
}

impl Ai {
    /// Gives everything back: nobody waits for the call any more, and it was not made.
    pub(crate) async fn release(&self, hold: &Hold) {
        self.quotas.release_soon(hold).await;
    }

    /// Books a call that gave no answer: given back if the provider certainly billed nothing.
    pub(crate) async fn book_failure(&self, hold: &Hold, error: &ProviderError) {
        let (outcome, lost) = match error {
            ProviderError::Refused { .. } | ProviderError::Unsupported(_) => ("refused", false),
            ProviderError::Unavailable { .. } => ("unavailable", false),
            ProviderError::Lost { .. } => ("unknown", true),
        };
        self.count(hold, outcome);
        if lost {
            self.quotas.give_up_soon(hold).await;
        } else {
            self.quotas.release_soon(hold).await;
        }
    }

    /// Books what a call used: what the provider counted, else the estimate. The answer need not wait
    /// for the commit: the reservation is durable, and whatever dies before it is ended by the reaper. Under an
    /// `Idempotency-Key` that is written down first, so that whatever dies now, no repetition is
    /// charged as well; a call that cannot promise that costs the customer nothing.
    pub(crate) async fn book(
        &self,
        hold: &Hold,
        outcome: Outcome,
        counted: Option<Quantities>,
        estimate: Quantities,
    ) -> Booked {
        if !idempotency::take_effect().await {
            let reason = "a repetition may have taken over".to_owned();
            self.book_failure(hold, &ProviderError::Lost { reason }).await;
            return Booked { standing: hold.standing.clone(), ..Booked::default() };
        }
        self.count(hold, if outcome == Outcome::Succeeded { "succeeded" } else { "partial" });
        let quantities = counted.unwrap_or(estimate);
        let cost: NanoUsd = hold.call.price.cost(&quantities);
        let credits = self.quotas.credits_for(hold.call.price.credits, cost);
        let used = Used { outcome, quantities, estimated: counted.is_none(), cost, credits };
        let (credits, standing) = (hold.credits_drawn(&used), hold.standing_after(&used));
        self.quotas.settle_soon(hold, used).await;
        Booked { quantities, cost, credits, standing }
    }

    /// How calls end and how long they take, by model.
    fn count(&self, hold: &Hold, outcome: &'static str) {
        let (provider, model) = (hold.call.provider.clone(), hold.call.model.clone());
        let took = (self.clock.now() - hold.created_at).to_std().unwrap_or_default();
        metrics::histogram!("ai_call_duration_seconds", "provider" => provider.clone(), "model" => model.clone())
            .record(took);
        metrics::counter!("ai_calls_total", "provider" => provider, "model" => model, "outcome" => outcome)
            .increment(1);
    }
}

/// What a call used, for want of the provider's count: never more than was reserved.
pub(crate) fn estimate(at_most: Quantities, received: usize) -> Quantities {
    // The prompt's bound is its bytes, and a token has about four of them.
    let input_tokens = at_most.input_tokens.div_euclid(4).max(1).min(at_most.input_tokens);
    Quantities {
        input_tokens,
        cache_write_tokens: input_tokens.min(at_most.cache_write_tokens),
        long_cache_write_tokens: input_tokens.min(at_most.long_cache_write_tokens),
        output_tokens: estimate_tokens(received).min(at_most.output_tokens),
        ..Quantities::default()
    }
}
