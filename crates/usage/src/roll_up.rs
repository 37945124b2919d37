use chrono::TimeDelta;
use db::Db;
use jobs::{Enqueue, Job};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};

use crate::Usage;

/// How many transactions are added at once: some ten thousand calls under load, well below any time limit.
const STEP: i64 = 2_000;
/// How long calls wait for the next run, while there are any.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// Adds the calls that ended since the last time to the roll-ups. While calls end it runs again and again,
/// so that reports hardly ever read calls one by one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RollUp {}

impl Job for RollUp {
    const NAME: &'static str = "usage.roll_up";
    type Context = Usage;

    async fn run(self, usage: Usage) -> anyhow::Result<()> {
        if catch_up(&usage.db).await? {
            let mut tx = usage.db.begin().await?;
            Enqueue::new(&self).key("usage.roll_up: again").after(PAUSE).send(&mut tx).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

/// Rolls up in steps until nothing is left to; answers whether there was anything. However much there is
/// to do, no step takes long, and none is done twice.
async fn catch_up(db: &Db) -> sqlx::Result<bool> {
    let (mut any, mut transactions) = (false, STEP);
    loop {
        let mut tx = db.begin().await?;
        // One transaction may have written everything: restoring a backup does.
        allow_long_statements(&mut tx).await?;
        let step = roll_up(&mut tx, transactions).await?;
        tx.commit().await?;
        any |= step.lines > 0;
        if step.caught_up {
            return Ok(any);
        }
        // Most transactions of a server may have nothing to do with calls.
        transactions = if step.lines == 0 { transactions.saturating_mul(2) } else { STEP };
    }
}

/// Lets the statements of this transaction take their time: what reads a month of calls takes longer than
/// any request may.
pub async fn allow_long_statements(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("set local statement_timeout = '10min'").execute(db).await?;
    Ok(())
}

/// What a step of the roll-up did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many lines it changed.
    pub lines: u64,
    /// Whether nothing more can be added now, or somebody else is adding it.
    pub caught_up: bool,
}

/// Adds the calls of the next `transactions` that are certainly over to the roll-ups, once.
///
/// Transactions commit in any order, so a call may appear after later ones were rolled up. What
/// counts is therefore its transaction's number: below the oldest one in progress all have ended,
/// and each call lies between exactly two of these watermarks. The watermark moves in the
/// transaction that adds the calls, so a crash leaves both or neither.
pub async fn roll_up(db: &mut PgConnection, transactions: i64) -> sqlx::Result<Step> {
    let from = sqlx::query_scalar!("select xid from usage_watermark for update skip locked")
        .fetch_optional(&mut *db)
        .await?;
    let Some(from) = from else { return Ok(Step { lines: 0, caught_up: true }) };
    // Read before the calls are: whatever had ended by now is visible to the next statement.
    let over = over(db).await?;
    if over < from {
        // The database was restored into another cluster, which numbers its transactions anew.
        return Ok(Step { lines: rebuild_from(db, over).await?, caught_up: true });
    }
    let to = over.min(from.saturating_add(transactions));
    Ok(Step { lines: add(db, from, to).await?, caught_up: to == over })
}

/// The oldest transaction in progress: every one with a lower number is over.
async fn over(db: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!""#)
        .fetch_one(db)
        .await
}

/// Forgets the roll-ups of all calls that are still there, and adds them again; answers how many
/// lines that made. Roll-ups of calls that retention has dropped are kept.
pub async fn rebuild(db: &mut PgConnection) -> sqlx::Result<u64> {
    sqlx::query!("select from usage_watermark for update").execute(&mut *db).await?;
    rebuild_from(db, 0).await
}

async fn rebuild_from(db: &mut PgConnection, restart: i64) -> sqlx::Result<u64> {
    sqlx::query!("delete from usage_rollups where slot >= (select raw_from from usage_watermark)")
        .execute(&mut *db)
        .await?;
    // Numbers given by an earlier cluster say nothing here: those rows count as written just now.
    sqlx::query!("update usage_records set xid = default where xid >= $1 and $1 > 0", restart)
        .execute(&mut *db)
        .await?;
    let to = over(db).await?;
    add(db, 0, to).await
}

async fn add(db: &mut PgConnection, from: i64, to: i64) -> sqlx::Result<u64> {
    let lines = sqlx::query!(
        "insert into usage_rollups as old
             (org_id, detail, grain, slot, provider, model, operation, outcome, paid_by, user_id,
              api_key_id, project_id, calls, input_tokens, cached_input_tokens,
              cache_write_tokens, long_cache_write_tokens, output_tokens, images, seconds,
              cost_nano_usd, credits)
         select org_id, detail, grain, slot, provider, model, operation, outcome, paid_by, user_id,
                api_key_id, project_id, calls, input_tokens, cached_input_tokens,
                cache_write_tokens, long_cache_write_tokens, output_tokens, images, seconds,
                cost_nano_usd, credits
         from usage_lines($1, $2)
         on conflict on constraint usage_rollup_line do update
         set calls = old.calls + excluded.calls,
             input_tokens = old.input_tokens + excluded.input_tokens,
             cached_input_tokens = old.cached_input_tokens + excluded.cached_input_tokens,
             cache_write_tokens = old.cache_write_tokens + excluded.cache_write_tokens,
             long_cache_write_tokens = old.long_cache_write_tokens + excluded.long_cache_write_tokens,
             output_tokens = old.output_tokens + excluded.output_tokens,
             images = old.images + excluded.images,
             seconds = old.seconds + excluded.seconds,
             cost_nano_usd = old.cost_nano_usd + excluded.cost_nano_usd,
             credits = old.credits + excluded.credits",
        from,
        to,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("update usage_watermark set xid = $1", to).execute(db).await?;
    Ok(lines.rows_affected())
}

/// Lines of the roll-ups that differ from the calls they stand for, at most 100; none, if all is
/// well. Reads every call that is kept.
pub async fn violations(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Violation>> {
    sqlx::query_as!(
        Violation,
        r#"select rule as "rule!", subject as "subject!", detail as "detail!"
           from usage_violations
           limit 100"#
    )
    .fetch_all(db)
    .await
}

/// A broken rule of the roll-ups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which.
    pub rule: String,
    /// Org and quarter of an hour.
    pub subject: String,
    /// What differs.
    pub detail: String,
}
