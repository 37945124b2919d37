use kernel::NanoUsd;
use serde::Serialize;
use utoipa::ToSchema;

use super::lines::Line;
use crate::{Outcome, Payer};

/// Sums over calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = UsageTotals)]
pub struct Totals {
    /// How many calls.
    pub calls: i64,
    /// How many of them were answered whole.
    pub succeeded: i64,
    /// How many broke off after something was delivered.
    pub partial: i64,
    /// Of how many we never learned how they ended.
    pub unknown: i64,
    /// How many the response cache answered: they cost nothing, and what they would have used is not
    /// in the sums.
    pub cached: i64,
    /// Which part was answered whole; absent without calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub success_rate: Option<f64>,
    /// Prompt tokens, cached ones included.
    pub input_tokens: i64,
    /// Prompt tokens the provider had cached.
    pub cached_input_tokens: i64,
    /// Prompt tokens the provider wrote into its cache.
    pub cache_write_tokens: i64,
    /// Tokens of the answers.
    pub output_tokens: i64,
    /// Images made.
    pub images: i64,
    /// What it cost at the providers, in nano-USD.
    pub cost_nano_usd: NanoUsd,
    /// Credits drawn.
    pub credits: i64,
}

/// All of it, and who pays for it. The parts add up to the total.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UsageSplit)]
pub struct Split {
    /// Every call.
    pub total: Totals,
    /// Calls that the plan included or credits paid for.
    pub customer: Totals,
    /// Calls that the platform pays for, because it does not know how they ended.
    pub platform: Totals,
}

/// By how much a later total differs from an earlier one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageChange)]
pub struct Change {
    /// Calls.
    pub calls: i64,
    /// Prompt tokens.
    pub input_tokens: i64,
    /// Tokens of the answers.
    pub output_tokens: i64,
    /// Images.
    pub images: i64,
    /// Cost, in nano-USD.
    pub cost_nano_usd: NanoUsd,
    /// Credits.
    pub credits: i64,
}

impl Split {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut split = Self::default();
        for line in lines {
            split.total.add(line);
            match line.paid_by {
                Payer::Plan | Payer::Credits => split.customer.add(line),
                Payer::Platform => split.platform.add(line),
            }
        }
        split
    }
}

impl Totals {
    pub(super) fn add(&mut self, line: &Line) {
        self.calls += line.calls;
        match line.outcome {
            Outcome::Succeeded => self.succeeded += line.calls,
            Outcome::Partial => self.partial += line.calls,
            Outcome::Unknown => self.unknown += line.calls,
            Outcome::Cached => self.cached += line.calls,
        }
        self.success_rate = ratio(self.succeeded + self.cached, self.calls);
        if line.outcome == Outcome::Cached {
            return;
        }
        self.input_tokens += line.input_tokens;
        self.cached_input_tokens += line.cached_input_tokens;
        self.cache_write_tokens += line.cache_write_tokens;
        self.output_tokens += line.output_tokens;
        self.images += line.images;
        self.cost_nano_usd = self.cost_nano_usd + NanoUsd(line.cost_nano_usd);
        self.credits += line.credits;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people, of far fewer than 2^52 calls")]
fn ratio(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Change {
    pub(super) fn between(before: &Totals, after: &Totals) -> Self {
        Self {
            calls: after.calls - before.calls,
            input_tokens: after.input_tokens - before.input_tokens,
            output_tokens: after.output_tokens - before.output_tokens,
            images: after.images - before.images,
            cost_nano_usd: NanoUsd(after.cost_nano_usd.0 - before.cost_nano_usd.0),
            credits: after.credits - before.credits,
        }
    }
}
