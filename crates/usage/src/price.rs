use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kernel::{Id, NanoUsd};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web::Tier;

/// What a provider counts for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantities {
    /// Prompt tokens, cached and written ones included.
    pub input_tokens: i64,
    /// Prompt tokens the provider had cached, at a lower price.
    pub cached_input_tokens: i64,
    /// Prompt tokens the provider wrote into its cache, for as short as it does.
    #[serde(default)]
    pub cache_write_tokens: i64,
    /// Prompt tokens the provider wrote into its cache to last, such as for an hour.
    #[serde(default)]
    pub long_cache_write_tokens: i64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: i64,
    /// Images made.
    pub images: i64,
    /// Seconds of sound or video, begun ones whole.
    #[serde(default)]
    pub seconds: i64,
}

impl Quantities {
    /// Prompt and answer together.
    pub fn tokens(&self) -> i64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// What a provider reported, made plausible: never negative, never more cached or written than
    /// sent.
    #[must_use]
    pub fn clamped(self) -> Self {
        let input_tokens = self.input_tokens.max(0);
        let mut left = input_tokens;
        let mut part = |tokens: i64| {
            let part = tokens.clamp(0, left);
            left -= part;
            part
        };
        Self {
            input_tokens,
            cached_input_tokens: part(self.cached_input_tokens),
            cache_write_tokens: part(self.cache_write_tokens),
            long_cache_write_tokens: part(self.long_cache_write_tokens),
            output_tokens: self.output_tokens.max(0),
            images: self.images.max(0),
            seconds: self.seconds.max(0),
        }
    }
}

/// Credits of the plans that differ from the others.
pub type ByTier = BTreeMap<Tier, i64>;

/// What a model costs from some time on, in nano-USD. Token prices are per million tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// Identifies this version of the price.
    pub id: Id<Price>,
    /// In force from then on, until the next version.
    pub effective_from: DateTime<Utc>,
    /// Explicitly costs nothing. A model without a price is not free: it is refused.
    pub free: bool,
    /// Prompt tokens.
    pub input_per_million: NanoUsd,
    /// Prompt tokens the provider had cached.
    pub cached_input_per_million: NanoUsd,
    /// Prompt tokens the provider wrote into its cache.
    pub cache_write_per_million: NanoUsd,
    /// Prompt tokens the provider wrote into its cache to last.
    pub long_cache_write_per_million: NanoUsd,
    /// Tokens of the answer.
    pub output_per_million: NanoUsd,
    /// Each image.
    pub per_image: NanoUsd,
    /// Each second of sound or video.
    pub per_second: NanoUsd,
    /// Each call.
    pub per_request: NanoUsd,
    /// What a batch costs, in percent of the price; `None`: there are none.
    pub batch_percent: Option<i16>,
    /// Credits that a standard generation draws.
    pub credits: i64,
    /// The same for plans that differ.
    #[schema(value_type = BTreeMap<Tier, i64>)]
    pub credits_by_tier: ByTier,
    /// Whether these are the prices of calls in a batch.
    #[serde(skip)]
    pub in_batch: bool,
}

impl Price {
    /// The price as a plan of `tier` pays it in credits.
    #[must_use]
    pub fn for_tier(self, tier: Tier) -> Self {
        let credits = self.credits_by_tier.get(&tier).copied().unwrap_or(self.credits);
        Self { credits, ..self }
    }

    /// The price of calls in a batch, each amount rounded up; `None`: there are no batches.
    pub fn batched(&self) -> Option<Self> {
        let percent = i128::from(self.batch_percent?);
        let part = |price: NanoUsd| {
            let part = (i128::from(price.0) * percent + 99) / 100;
            NanoUsd(i64::try_from(part).unwrap_or(i64::MAX))
        };
        Some(Self {
            input_per_million: part(self.input_per_million),
            cached_input_per_million: part(self.cached_input_per_million),
            cache_write_per_million: part(self.cache_write_per_million),
            long_cache_write_per_million: part(self.long_cache_write_per_million),
            output_per_million: part(self.output_per_million),
            per_image: part(self.per_image),
            per_second: part(self.per_second),
            per_request: part(self.per_request),
            in_batch: true,
            ..self.clone()
        })
    }

    /// The exact cost, rounded up once to the next nano-USD.
    ///
    /// Amounts beyond the range saturate, so that an absurd count is refused rather than cheap.
    pub fn cost(&self, quantities: &Quantities) -> NanoUsd {
        let fresh = quantities.input_tokens
            - quantities.cached_input_tokens
            - quantities.cache_write_tokens
            - quantities.long_cache_write_tokens;
        let per_million = [
            (fresh, self.input_per_million),
            (quantities.cached_input_tokens, self.cached_input_per_million),
            (quantities.cache_write_tokens, self.cache_write_per_million),
            (quantities.long_cache_write_tokens, self.long_cache_write_per_million),
            (quantities.output_tokens, self.output_per_million),
        ];
        let tokens: i128 = per_million.iter().map(|&(count, price)| product(count, price)).sum();
        let whole = product(quantities.images, self.per_image)
            + product(quantities.seconds, self.per_second)
            + i128::from(self.per_request.0);
        let total = (tokens + 999_999) / 1_000_000 + whole;
        NanoUsd(i64::try_from(total).unwrap_or(i64::MAX))
    }
}

fn product(count: i64, price: NanoUsd) -> i128 {
    i128::from(count) * i128::from(price.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;
    use kernel::{Id, NanoUsd};
    use proptest::prelude::*;
    use web::Tier;

    use super::{Price, Quantities};

    fn price() -> Price {
        Price {
            id: Id::new(),
            effective_from: DateTime::UNIX_EPOCH,
            free: false,
            input_per_million: NanoUsd(150_000_000),
            cached_input_per_million: NanoUsd(75_000_000),
            cache_write_per_million: NanoUsd(187_500_000),
            long_cache_write_per_million: NanoUsd(300_000_000),
            output_per_million: NanoUsd(600_000_000),
            per_image: NanoUsd(0),
            per_second: NanoUsd(0),
            per_request: NanoUsd(0),
            batch_percent: Some(50),
            credits: 1,
            credits_by_tier: BTreeMap::from([(Tier::Free, 2)]),
            in_batch: false,
        }
    }

    #[test]
    fn a_call_costs_its_tokens_at_their_prices() {
        let quantities = Quantities {
            input_tokens: 1000,
            cached_input_tokens: 400,
            cache_write_tokens: 100,
            long_cache_write_tokens: 50,
            output_tokens: 10,
            ..Quantities::default()
        };
        let prompt = 450 * 150 + 400 * 75 + 100 * 375 / 2 + 50 * 300;
        assert_eq!(price().cost(&quantities), NanoUsd(prompt + 10 * 600));
    }

    #[test]
    fn a_price_below_one_unit_per_token_is_rounded_up_once_per_call() {
        let price = Price { input_per_million: NanoUsd(37_500_000), ..price() };
        let tokens = |n| Quantities { input_tokens: n, ..Quantities::default() };
        assert_eq!(price.cost(&tokens(1)), NanoUsd(38));
        assert_eq!(price.cost(&tokens(2)), NanoUsd(75));
        assert_eq!(price.cost(&tokens(1_000_000)), NanoUsd(37_500_000));
    }

    #[test]
    fn absurd_counts_are_dear_not_cheap() {
        let quantities = Quantities { output_tokens: i64::MAX, ..Quantities::default() };
        assert_eq!(price().cost(&quantities), NanoUsd(i64::MAX));
    }

    #[test]
    fn reported_counts_are_made_plausible() {
        let reported = Quantities {
            input_tokens: 5,
            cached_input_tokens: 3,
            cache_write_tokens: 9,
            long_cache_write_tokens: 1,
            output_tokens: -3,
            images: -1,
            seconds: -1,
        };
        let plausible = Quantities {
            input_tokens: 5,
            cached_input_tokens: 3,
            cache_write_tokens: 2,
            ..Default::default()
        };
        assert_eq!(reported.clamped(), plausible);
    }

    #[test]
    fn a_plan_may_pay_other_credits_and_a_batch_costs_its_part() {
        assert_eq!(price().for_tier(Tier::Free).credits, 2);
        assert_eq!(price().for_tier(Tier::Pro).credits, 1);
        let batched = Price { input_per_million: NanoUsd(151), ..price() }.batched().unwrap();
        assert_eq!(batched.input_per_million, NanoUsd(76));
        assert_eq!(batched.long_cache_write_per_million, NanoUsd(150_000_000));
        assert!(batched.in_batch);
        assert_eq!(Price { batch_percent: None, ..price() }.batched(), None);
    }

    proptest! {
        #[test]
        fn a_cost_is_exact_but_for_less_than_one_unit_in_our_favour(
            prompt in proptest::array::uniform4(0..1_i64 << 40), output in 0..1_i64 << 40,
            images in 0..1000_i64, seconds in 0..100_000_i64,
            prices in proptest::array::uniform8(0..1_i64 << 20),
        ) {
            let [input_price, cached_price, write_price, long_price, output_price, image, second, request] =
                prices;
            let price = Price {
                input_per_million: NanoUsd(input_price),
                cached_input_per_million: NanoUsd(cached_price),
                cache_write_per_million: NanoUsd(write_price),
                long_cache_write_per_million: NanoUsd(long_price),
                output_per_million: NanoUsd(output_price),
                per_image: NanoUsd(image),
                per_second: NanoUsd(second),
                per_request: NanoUsd(request),
                ..price()
            };
            let [fresh, cached, write, long] = prompt;
            let quantities = Quantities {
                input_tokens: prompt.iter().sum(),
                cached_input_tokens: cached,
                cache_write_tokens: write,
                long_cache_write_tokens: long,
                output_tokens: output,
                images,
                seconds,
            };
            // In millionths of a unit nothing needs to be rounded.
            let times = |count: i64, price: i64| i128::from(count) * i128::from(price);
            let exact = times(fresh, input_price)
                + times(cached, cached_price)
                + times(write, write_price)
                + times(long, long_price)
                + times(output, output_price)
                + 1_000_000 * (times(images, image) + times(seconds, second) + times(1, request));
            let charged = i128::from(price.cost(&quantities).0) * 1_000_000;
            prop_assert!((0..1_000_000).contains(&(charged - exact)), "{} for {}", charged, exact);
        }
    }
}
