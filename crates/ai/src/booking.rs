use kernel::NanoUsd;
use quotas::{Hold, Used};
use usage::{Outcome, Payer, Quantities};

use crate::{Ai, error::ProviderError, usage_report::estimate_tokens};

/// What a call was booked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Booked {
    pub(crate) cost: NanoUsd,
    pub(crate) credits: i64,
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
        count(hold, outcome);
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
            return Booked { cost: NanoUsd(0), credits: 0 };
        }
        count(hold, if outcome == Outcome::Succeeded { "succeeded" } else { "partial" });
        let quantities = counted.unwrap_or(estimate);
        let cost: NanoUsd = hold.call.price.cost(&quantities);
        let credits = self.quotas.credits_for(hold.call.price.credits, cost);
        let used = Used { outcome, quantities, estimated: counted.is_none(), cost, credits };
        self.quotas.settle_soon(hold, used).await;
        let credits = if hold.paid_by == Payer::Credits { credits.min(hold.credits) } else { 0 };
        Booked { cost, credits }
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
    let (provider, model) = (hold.call.provider.clone(), hold.call.model.clone());
    metrics::counter!("ai_calls_total", "provider" => provider, "model" => model, "outcome" => outcome)
        .increment(1);
}
