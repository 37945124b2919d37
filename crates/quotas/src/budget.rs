use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Call, Period, book::BudgetChange, counters::Counters};

/// An amount that may be used in a period, with what has been used of it so far.
///
/// Limit and counters are one row, so what is locked is what decides. Rows are locked in the order of
/// their ids, the platform's last, so that who waits for one org's row holds up nobody else.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Identifies it.
    pub(crate) id: Id<Budget>,
    pub(crate) scope: Scope,
    /// The org it belongs to; `None` for the platform's own.
    pub(crate) org: Option<Id<Org>>,
    /// The project, user or key, if it is about one.
    pub(crate) subject: Option<Uuid>,
    pub(crate) kind: Kind,
    pub(crate) period: Period,
    pub(crate) unit: Unit,
    /// The one operation it counts, or all.
    pub(crate) operation: Option<String>,
    /// Whether it only alerts.
    pub(crate) soft: bool,
    /// How much may be used.
    pub(crate) amount: i64,
    /// How much more, and until when.
    pub(crate) raised_by: i64,
    pub(crate) raised_until: Option<DateTime<Utc>>,
    /// Changes with all of the above.
    pub(crate) version: i64,
    /// The period that the row shows.
    pub(crate) shown: DateTime<Utc>,
    /// The period that counts; later than the shown one if the batch begins it.
    pub(crate) starts: DateTime<Utc>,
    pub(crate) counters: Counters,
}

/// Whose use a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Scope {
    /// Everybody's: what the platform as a whole may spend.
    Global,
    /// One org's.
    Org,
    /// One project's.
    Project,
    /// One person's in one org.
    User,
    /// One API key's.
    Key,
}

/// Whether a budget stops calls or pays for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    /// Nothing passes it, whoever pays.
    Limit,
    /// What the plan pays for; past it a call draws credits.
    Included,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Unit {
    /// Calls.
    Requests,
    /// Tokens, of prompt and answer.
    Tokens,
    /// Provider cost in nano-USD.
    NanoUsd,
    /// Calls whose outcome was never learned: the platform paid for them.
    Unknowns,
}

impl Scope {
    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Org => "org",
            Self::Project => "project",
            Self::User => "user",
            Self::Key => "key",
        }
    }
}

impl Unit {
    /// As the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::NanoUsd => "nano_usd",
            Self::Unknowns => "unknowns",
        }
    }

    /// The most of this that `call` can use.
    pub(crate) fn of(self, call: &Call) -> i64 {
        match self {
            Self::Requests => 1,
            Self::Tokens => call.max_tokens,
            Self::NanoUsd => call.max_cost.0,
            // Calls in flight are expected to end well.
            Self::Unknowns => 0,
        }
    }

    /// How much room there must be for `call`.
    pub(crate) fn needed(self, call: &Call) -> i64 {
        if self == Self::Unknowns { 1 } else { self.of(call) }
    }
}

impl Budget {
    /// What may be used in all at `now`.
    pub(crate) fn limit(&self, now: DateTime<Utc>) -> i64 {
        let raised = self.raised_until.is_some_and(|end| now < end);
        self.amount.saturating_add(if raised { self.raised_by } else { 0 })
    }

    /// Starts the counters anew if `now` is in a later period. Calls still in flight keep counting
    /// for the period in which they were reserved.
    pub(crate) fn roll(&mut self, now: DateTime<Utc>, zone: Tz) {
        // Nearly always: time zones are not consulted for every call.
        if now - self.starts < self.period.least_length() {
            return;
        }
        let start = self.period.start(now, zone);
        if start > self.starts && start - self.starts >= self.period.least_length() {
            self.starts = start;
            self.counters.roll();
        }
    }

    /// Forgets what the batch would have done.
    pub(crate) fn discard(&mut self) {
        self.counters.discard();
        self.starts = self.shown;
    }

    /// Whether there is room for `call`. The answer is relied upon.
    pub(crate) fn fits(&mut self, call: &Call, now: DateTime<Utc>) -> bool {
        let limit = self.limit(now);
        self.counters.fits(self.unit.needed(call), limit)
    }

    /// Whether `call` counts here.
    pub(crate) fn counts(&self, call: &Call) -> bool {
        let whose = match self.scope {
            Scope::Global => true,
            Scope::Org => self.org == Some(call.org),
            Scope::Project => self.org == Some(call.org) && self.subject == call.project,
            Scope::User => self.org == Some(call.org) && self.subject == Some(call.user.uuid()),
            Scope::Key => self.org == Some(call.org) && self.subject == call.api_key.map(Id::uuid),
        };
        whose && self.operation.as_deref().is_none_or(|operation| operation == call.operation)
    }

    /// What the batch does to the row.
    pub(crate) fn change(&self, now: DateTime<Utc>) -> Option<BudgetChange> {
        let batch = &self.counters.batch;
        batch.changes().then(|| BudgetChange {
            id: self.id.uuid(),
            began: self.shown,
            starts: self.starts,
            spent: batch.spent,
            held: batch.held,
            overrun: batch.overrun,
            version: batch.verified.then_some(self.version),
            least: batch.least,
            most: batch.most,
            amount: self.limit(now),
        })
    }

    /// Locks `org`'s budgets, then the platform's, in the one order that everybody uses.
    pub(crate) async fn lock(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
        sqlx::query!(
            "select from budgets where org_id = $1 or org_id is null
             order by org_id is null, id for no key update",
            org as _
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
