use jobs::Job;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};

use crate::Usage;

/// Adds the calls that ended since the last time to the roll-ups.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RollUp {}

impl Job for RollUp {
    const NAME: &'static str = "usage.roll_up";
    type Context = Usage;

    async fn run(self, usage: Usage) -> anyhow::Result<()> {
        let mut tx = usage.db.begin().await?;
        roll_up(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

/// Adds every call whose transaction is certainly over to the roll-ups, once; answers how many lines
/// that changed.
///
/// Transactions commit in any order, so a call may appear after later ones were rolled up. What
/// counts is therefore its transaction's number: below the oldest one in progress all have ended,
/// and each call lies between exactly two of these watermarks. The watermark moves in the
/// transaction that adds the calls, so a crash leaves both or neither.
pub async fn roll_up(db: &mut PgConnection) -> sqlx::Result<u64> {
    let from = sqlx::query_scalar!("select xid from usage_watermark for update")
        .fetch_one(&mut *db)
        .await?;
    // Read before the calls are: whatever had ended by now is visible to the next statement.
    let to = sqlx::query_scalar!(
        r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!""#
    )
    .fetch_one(&mut *db)
    .await?;
    if to < from {
        // The database was restored into another cluster, which numbers its transactions anew.
        return rebuild_from(db, to).await;
    }
    add(db, from, to).await
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
    let to = sqlx::query_scalar!(
        r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!""#
    )
    .fetch_one(&mut *db)
    .await?;
    add(db, 0, to).await
}

async fn add(db: &mut PgConnection, from: i64, to: i64) -> sqlx::Result<u64> {
    let lines = sqlx::query!(
        "insert into usage_rollups as old
             (org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id,
              api_key_id, project_id, calls, input_tokens, cached_input_tokens, output_tokens,
              images, seconds, cost_nano_usd, credits)
         select org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id,
                api_key_id, project_id, count(*), sum(input_tokens), sum(cached_input_tokens),
                sum(output_tokens), sum(images), sum(seconds), sum(cost_nano_usd), sum(credits)
         from usage_lines
         where xid >= $1 and xid < $2
         group by org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id,
                  api_key_id, project_id
         on conflict on constraint usage_rollup_line do update
         set calls = old.calls + excluded.calls,
             input_tokens = old.input_tokens + excluded.input_tokens,
             cached_input_tokens = old.cached_input_tokens + excluded.cached_input_tokens,
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
