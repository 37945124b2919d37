use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use kernel::{Id, NanoUsd};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Budget, Call, Grant, Hold, Refusal,
    decision::{Books, Reservation},
};

/// How reservations are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) credit_covers: NanoUsd,
    pub(crate) life: TimeDelta,
}

/// Decides about `calls` in turn and writes all that may start, in one commit.
pub(crate) async fn reserve_all(
    db: &Db,
    terms: Terms,
    now: DateTime<Utc>,
    calls: Vec<Call>,
) -> sqlx::Result<Vec<Result<Hold, Refusal>>> {
    let mut orgs: Vec<Uuid> = calls.iter().map(|call| call.org.uuid()).collect();
    orgs.sort_unstable();
    orgs.dedup();
    let mut tx = db.begin().await?;
    let budgets = Budget::lock_all(&mut tx, &orgs).await?;
    let grants = Grant::lock_live(&mut tx, &orgs, now).await?;
    let mut books = Books {
        budgets: budgets.clone(),
        grants: grants.clone(),
        credit_covers: terms.credit_covers,
        now,
    };
    let verdicts: Vec<Result<Hold, Refusal>> = calls
        .into_iter()
        .map(|call| {
            let reservation = books.reserve(&call)?;
            Ok(hold(call, reservation, now + terms.life))
        })
        .collect();

    let holds: Vec<&Hold> = verdicts.iter().filter_map(|it| it.as_ref().ok()).collect();
    if !holds.is_empty() {
        Budget::save_counters(&mut tx, &changed(&budgets, &books.budgets)).await?;
        let grants = books.grants.iter().filter(|new| !grants.contains(new)).collect::<Vec<_>>();
        if !grants.is_empty() {
            Grant::save_counters(&mut tx, &grants).await?;
        }
        insert(&mut tx, &holds, now).await?;
        tx.commit().await?;
    }
    Ok(verdicts)
}

fn changed<'a>(before: &[Budget], after: &'a [Budget]) -> Vec<&'a Budget> {
    before.iter().zip(after).filter(|(old, new)| old != new).map(|(_, new)| new).collect()
}

fn hold(call: Call, reservation: Reservation, expires_at: DateTime<Utc>) -> Hold {
    let Reservation { paid_by, credits, draws } = reservation;
    Hold { id: Id::new(), call, paid_by, credits, expires_at, draws }
}

async fn insert(db: &mut PgConnection, holds: &[&Hold], now: DateTime<Utc>) -> sqlx::Result<()> {
    let rows: serde_json::Value = holds.iter().map(|hold| row(hold, now)).collect();
    sqlx::query!("insert into holds select * from jsonb_populate_recordset(null::holds, $1)", rows)
        .execute(db)
        .await?;
    Ok(())
}

/// A row of `holds`, by its columns' names.
fn row(hold: &Hold, now: DateTime<Utc>) -> serde_json::Value {
    let call = &hold.call;
    serde_json::json!({
        "id": hold.id,
        "org_id": call.org,
        "user_id": call.user,
        "api_key_id": call.api_key,
        "project_id": call.project,
        "operation": call.operation,
        "provider": call.provider,
        "model": call.model,
        "price_id": call.price.id,
        "paid_by": hold.paid_by,
        "cost_nano_usd": call.max_cost,
        "credits": hold.credits,
        "draws": hold.draws,
        "request_id": call.request_id,
        "created_at": now,
        "expires_at": hold.expires_at,
    })
}
