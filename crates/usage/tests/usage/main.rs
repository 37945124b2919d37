//! Reports, roll-ups, lists and exports, over HTTP where customers see them.

mod lists;
mod prices;
mod reconciliation;
mod record;
mod reports;
mod retention;
mod roll_ups;

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, NanoUsd, Org};
use sqlx::PgConnection;
use testing::{Client, TestApp};
use usage::{Outcome, Payer, Price, Quantities};
use uuid::Uuid;

use crate::record::Record;

/// A call that ended `ago`.
fn call(app: &TestApp, org: Id<Org>, ago: TimeDelta) -> Record {
    let ended_at: DateTime<Utc> = app.clock.now() - ago;
    Record {
        id: Uuid::now_v7(),
        org,
        user: None,
        api_key: None,
        project_id: None,
        operation: "chat".into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        price_id: Id::<Price>::new(),
        outcome: Outcome::Succeeded,
        paid_by: Payer::Plan,
        quantities: Quantities { input_tokens: 10, output_tokens: 5, ..Quantities::default() },
        in_batch: false,
        estimated: false,
        cost_nano_usd: NanoUsd(4_500),
        credits: 0,
        request_id: None,
        reserved_at: ended_at,
        created_at: ended_at,
    }
}

async fn write(app: &TestApp, records: &[Record]) {
    let mut tx = app.db.begin().await.unwrap();
    Record::insert_all(&mut tx, records).await.unwrap();
    tx.commit().await.unwrap();
}

async fn roll_up(app: &TestApp) {
    let mut tx = app.db.begin().await.unwrap();
    usage::roll_up(&mut tx, i64::MAX).await.unwrap();
    tx.commit().await.unwrap();
}

/// Rolls up until nothing is left to: other databases of the server have transactions of their own.
async fn roll_up_all(app: &TestApp) {
    let left = async |db: &mut PgConnection| -> bool {
        sqlx::query_scalar(
            "select exists (
                 select from usage_records where xid >= (select xid from usage_watermark))",
        )
        .fetch_one(db)
        .await
        .unwrap()
    };
    loop {
        roll_up(app).await;
        let mut connection = app.db.pool().acquire().await.unwrap();
        if !left(&mut connection).await {
            break;
        }
    }
    assert_eq!(usage::violations(app.db.pool()).await.unwrap(), []);
}

async fn total(client: &Client, query: &str) -> serde_json::Value {
    client.get(&format!("/v1/usage?{query}")).await.ok()["total"].clone()
}
