//! The one statement that writes reservations and settlements, and the rows that it takes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::row::row;

/// The SQLSTATE with which `book` says that the picture was not true, and names what differs.
const DIFFERS: &str = "SL001";

/// All that one batch writes.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) versions: Vec<BooksVersion>,
    pub(crate) ended: Vec<HoldEnd>,
    pub(crate) budgets: Vec<BudgetChange>,
    pub(crate) platform: Vec<BudgetChange>,
    pub(crate) grants: Vec<GrantChange>,
    pub(crate) holds: Vec<NewHold>,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) usage: Vec<NewUsage>,
}

/// Which picture of an org, or of the platform, was decided on.
#[derive(Debug)]
pub(crate) struct BooksVersion {
    pub(crate) id: Uuid,
    pub(crate) version: i64,
}

row!(BooksVersion as "books_version": id, version);

/// A hold to be ended, by the reaper only if it expired before that time.
#[derive(Debug)]
pub(crate) struct HoldEnd {
    pub(crate) id: Uuid,
    pub(crate) if_expired_at: Option<DateTime<Utc>>,
}

row!(HoldEnd as "hold_end": id, if_expired_at);

/// What is added to a budget's counters; with a version, only if it is as it was pictured.
#[derive(Debug)]
pub(crate) struct BudgetChange {
    pub(crate) id: Uuid,
    /// The period that the row must show.
    pub(crate) began: DateTime<Utc>,
    /// The period that counts from now on.
    pub(crate) starts: DateTime<Utc>,
    pub(crate) spent: i64,
    pub(crate) held: i64,
    pub(crate) overrun: i64,
    pub(crate) version: Option<i64>,
    pub(crate) least: i64,
    pub(crate) most: i64,
    /// What may be used, kept when a period begins.
    pub(crate) amount: i64,
}

row!(BudgetChange as "budget_change": id, began, starts, spent, held, overrun, version, least, most, amount);

/// What is added to a grant's counters; with what was revoked, only if it is as it was pictured.
#[derive(Debug)]
pub(crate) struct GrantChange {
    pub(crate) id: Uuid,
    pub(crate) spent: i64,
    pub(crate) held: i64,
    pub(crate) revoked: Option<i64>,
    pub(crate) least: i64,
    pub(crate) most: i64,
}

row!(GrantChange as "grant_change": id, spent, held, revoked, least, most);

/// A row of `holds`.
#[derive(Debug)]
pub(crate) struct NewHold {
    pub(crate) id: Uuid,
    pub(crate) org_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) api_key_id: Option<Uuid>,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) operation: String,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) price_id: Uuid,
    pub(crate) paid_by: String,
    pub(crate) cost_nano_usd: i64,
    pub(crate) max_tokens: i64,
    pub(crate) credits: i64,
    pub(crate) draw_ids: Vec<Uuid>,
    pub(crate) draw_periods: Vec<Option<DateTime<Utc>>>,
    pub(crate) draw_amounts: Vec<i64>,
    pub(crate) request_id: Option<String>,
    pub(crate) instance: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

row!(NewHold as "new_hold": id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id, paid_by, cost_nano_usd, max_tokens, credits, draw_ids, draw_periods, draw_amounts, request_id, instance, created_at, expires_at);

/// A row of `ledger_entries`.
#[derive(Debug)]
pub(crate) struct NewEntry {
    pub(crate) id: Uuid,
    pub(crate) org_id: Uuid,
    pub(crate) from_account: String,
    pub(crate) to_account: String,
    pub(crate) amount: i64,
    pub(crate) grant_id: Uuid,
    pub(crate) external_id: String,
    pub(crate) created_at: DateTime<Utc>,
}

row!(NewEntry as "new_entry": id, org_id, from_account, to_account, amount, grant_id, external_id, created_at);

/// A row of `usage_records`.
#[derive(Debug)]
pub(crate) struct NewUsage {
    pub(crate) id: Uuid,
    pub(crate) org_id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) api_key_id: Option<Uuid>,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) operation: String,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) price_id: Uuid,
    pub(crate) outcome: String,
    pub(crate) paid_by: String,
    pub(crate) input_tokens: i64,
    pub(crate) cached_input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) images: i64,
    pub(crate) seconds: i64,
    pub(crate) estimated: bool,
    pub(crate) cost_nano_usd: i64,
    pub(crate) credits: i64,
    pub(crate) request_id: Option<String>,
    pub(crate) reserved_at: DateTime<Utc>,
    pub(crate) created_at: DateTime<Utc>,
    /// What was added to which budgets.
    pub(crate) budgets: Vec<Uuid>,
    pub(crate) booked: Vec<i64>,
    pub(crate) cache_write_tokens: i64,
    pub(crate) long_cache_write_tokens: i64,
    pub(crate) in_batch: bool,
}

row!(NewUsage as "new_usage": id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id, outcome, paid_by, input_tokens, cached_input_tokens, output_tokens, images, seconds, estimated, cost_nano_usd, credits, request_id, reserved_at, created_at, budgets, booked, cache_write_tokens, long_cache_write_tokens, in_batch);

impl Rows {
    pub(crate) fn is_empty(&self) -> bool {
        self.ended.is_empty()
            && self.budgets.is_empty()
            && self.platform.is_empty()
            && self.holds.is_empty()
    }

    /// Writes all of it, or nothing. Answers what the changed rows have spent and hold now.
    pub(crate) async fn write(
        &self,
        db: impl PgExecutor<'_>,
    ) -> sqlx::Result<HashMap<Uuid, (i64, i64)>> {
        let row = sqlx::query!(
            r#"select coalesce(ids, '{}') as "ids!", coalesce(spent, '{}') as "spent!",
                      coalesce(held, '{}') as "held!"
               from book($1, $2, $3, $4, $5, $6, $7, $8)"#,
            &self.versions as _,
            &self.ended as _,
            &self.budgets as _,
            &self.platform as _,
            &self.grants as _,
            &self.holds as _,
            &self.entries as _,
            &self.usage as _,
        )
        .fetch_one(db)
        .await?;
        Ok(row.ids.into_iter().zip(row.spent.into_iter().zip(row.held)).collect())
    }
}

/// What differed from its picture, if that is why nothing was written.
pub(crate) fn differing(error: &sqlx::Error) -> Option<Uuid> {
    let error = error.as_database_error()?;
    let postgres = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    if postgres.code() != DIFFERS {
        return None;
    }
    postgres.detail()?.parse().ok()
}

impl BudgetChange {
    /// Of a row that no picture shows: nothing is decided on it, and a later period ignores it.
    pub(crate) fn loose(id: Uuid, period: DateTime<Utc>) -> Self {
        let (least, most) = (i64::MIN, i64::MAX);
        let (spent, held, overrun, version, amount) = (0, 0, 0, None, 0);
        let (began, starts) = (period, period);
        Self { id, began, starts, spent, held, overrun, version, least, most, amount }
    }
}

impl GrantChange {
    /// Of a row that no picture shows: nothing is decided on it.
    pub(crate) fn loose(id: Uuid) -> Self {
        Self { id, spent: 0, held: 0, revoked: None, least: i64::MIN, most: i64::MAX }
    }
}
