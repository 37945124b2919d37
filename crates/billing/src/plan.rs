use std::{fmt, str::FromStr};

use kernel::NanoUsd;
use quotas::{Entitlement, Included};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web::Tier;

/// What an org may use, and what that costs. Bought as `plan-{id}-month` or `plan-{id}-year`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Names it for programs.
    #[schema(example = "pro")]
    pub id: String,
    /// Names it for people.
    pub name: String,
    /// Scales rate limits.
    pub tier: Tier,
    /// The price of a month, in the smallest unit of the catalogue's currency; 0 is not for sale.
    pub month_cents: i64,
    /// The price of a year.
    pub year_cents: i64,
    /// Generations a day that draw no credits.
    pub generations_per_day: i64,
    /// Generations a month that draw no credits.
    pub generations_per_month: i64,
    /// What those may cost at the providers in a month, in US cents.
    pub spend_cents_per_month: i64,
    /// Credits given each month, valid until its end.
    pub credits_per_month: i64,
    /// People who may belong to the org.
    pub seats: i64,
    /// Bytes that may be stored.
    pub storage_bytes: i64,
    /// The price of one more seat for a month; 0: none can be bought.
    #[serde(default)]
    pub seat_month_cents: i64,
    /// The price of one more seat for a year.
    #[serde(default)]
    pub seat_year_cents: i64,
    /// Credits that may be used in a month beyond those an org has, and are billed afterwards; 0: none.
    #[serde(default)]
    pub overage_credits_per_month: i64,
    /// Days before the first payment of an org that never subscribed.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 730)]
    pub trial_days: i32,
    /// No longer sold. Who has it keeps it, so what was sold is retired, not removed.
    #[serde(default)]
    pub retired: bool,
}

impl Plan {
    /// What an org on this plan may do, in the terms of `quotas`.
    pub fn entitlement(&self) -> Entitlement {
        Entitlement {
            plan: self.id.clone(),
            tier: self.tier,
            seats: self.seats,
            storage_bytes: self.storage_bytes,
            included: Included {
                per_day: self.generations_per_day,
                per_month: self.generations_per_month,
                spend_per_month: NanoUsd::from_cents(self.spend_cents_per_month),
            },
        }
    }

    /// What `interval` of it costs.
    pub fn cents(&self, interval: Interval) -> i64 {
        match interval {
            Interval::Month => self.month_cents,
            Interval::Year => self.year_cents,
        }
    }

    /// What one more seat costs for `interval`.
    pub fn seat_cents(&self, interval: Interval) -> i64 {
        match interval {
            Interval::Month => self.seat_month_cents,
            Interval::Year => self.seat_year_cents,
        }
    }

    /// This plan, but in no respect less than `paid`: what was paid for is kept.
    #[must_use]
    pub(crate) fn no_less_than(&self, paid: &Self) -> Self {
        Self {
            tier: self.tier.max(paid.tier),
            generations_per_day: self.generations_per_day.max(paid.generations_per_day),
            generations_per_month: self.generations_per_month.max(paid.generations_per_month),
            spend_cents_per_month: self.spend_cents_per_month.max(paid.spend_cents_per_month),
            credits_per_month: self.credits_per_month.max(paid.credits_per_month),
            seats: self.seats.max(paid.seats),
            overage_credits_per_month: self
                .overage_credits_per_month
                .max(paid.overage_credits_per_month),
            storage_bytes: self.storage_bytes.max(paid.storage_bytes),
            ..self.clone()
        }
    }
}

/// Credits bought once, which do not expire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// What to send to buy it.
    #[schema(example = "pack-100")]
    pub id: String,
    /// How many.
    pub credits: i64,
    /// The price, in the smallest unit of the catalogue's currency.
    pub cents: i64,
    /// No longer sold.
    #[serde(default)]
    pub retired: bool,
}

/// How often a plan is paid.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = BillingInterval)]
pub enum Interval {
    /// Each month.
    Month,
    /// Each year.
    Year,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Month => "month",
            Self::Year => "year",
        })
    }
}

impl FromStr for Interval {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "month" => Ok(Self::Month),
            "year" => Ok(Self::Year),
            _ => Err(()),
        }
    }
}
