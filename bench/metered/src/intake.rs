//! How many of Stripe's events the product takes a second, beside what the same Postgres commits of single
//! rows: every event is stored durably before it is answered.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinSet;

use crate::{
    load::Load,
    product::{Product, WEBHOOK_SECRET},
    schedule::{Pace, Schedule},
};

/// The part of the bare rate that intake must reach.
const BAR: f64 = 0.5;

/// Connections on either side.
const CONNECTIONS: usize = 32;

/// Events sent in one round; none is sent twice.
const EVENTS: usize = 160_000;

/// Measures both in turn and prints the ratio of the medians; true when it reaches the bar.
pub(crate) async fn run(product: &Product, time: Duration, rounds: usize) -> anyhow::Result<bool> {
    let bare = PgPoolOptions::new()
        .min_connections(u32::try_from(CONNECTIONS)?)
        .max_connections(u32::try_from(CONNECTIONS)?)
        .connect_with(product.database.connect_options().as_ref().clone())
        .await?;
    let (mut singles, mut intakes) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        singles.push(insert(&bare, round, time).await?);
        intakes.push(send(product, round, time).await?);
    }
    bare.close().await;
    let (single, intake) = (median(singles), median(intakes));
    let ratio = intake / single;
    print(&format!(
        "single-row commits {single:.0}/s, events {intake:.0}/s at {CONNECTIONS} connections: \
         {ratio:.2} of the bare rate (bar {BAR})"
    ));
    Ok(ratio >= BAR)
}

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
fn print(line: &str) {
    println!("{line}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rows a second that the machine commits one by one.
async fn insert(database: &PgPool, round: usize, time: Duration) -> anyhow::Result<f64> {
    sqlx::query("drop table if exists bench_events").execute(database).await?;
    sqlx::query("create table bench_events (id text primary key, payload text not null)")
        .execute(database)
        .await?;
    let schedule = Schedule::begin(Pace::Closed, time);
    let mut writers = JoinSet::new();
    for writer in 0..CONNECTIONS {
        let (database, schedule) = (database.clone(), schedule.clone());
        writers.spawn(async move {
            let (mut number, mut counted) = (0_u32, 0_u32);
            let mut connection = database.acquire().await?;
            while let Some(due) = schedule.next().await {
                let id = format!("evt_{round}_{writer}_{number}");
                sqlx::query("insert into bench_events (id, payload) values ($1, $2)")
                    .bind(&id)
                    .bind(event(&id))
                    .execute(&mut *connection)
                    .await?;
                number += 1;
                counted += u32::from(schedule.counts(due, Instant::now()));
            }
            anyhow::Ok(counted)
        });
    }
    let mut counted = 0;
    while let Some(writer) = writers.join_next().await {
        counted += writer.context("a writer's task")??;
    }
    Ok(f64::from(counted) / time.as_secs_f64())
}

/// Events a second that the product takes.
async fn send(product: &Product, round: usize, time: Duration) -> anyhow::Result<f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let requests = (0..EVENTS).map(|number| request(&format!("evt_{round}_{number}"), now));
    let load = Load {
        authority: product.authority.clone(),
        requests: Arc::new(requests.collect()),
        connections: CONNECTIONS,
        pace: Pace::Closed,
        time,
    };
    let sample = load.run(&[]).await?;
    let stored = product.events(round).await?;
    ensure!(sample.answered <= stored, "{} answered, {stored} stored", sample.answered);
    ensure!(usize::try_from(sample.answered)? <= EVENTS, "more than {EVENTS} events are needed");
    Ok(sample.per_second())
}

/// An event as large as most, of a customer that nobody knows.
fn event(id: &str) -> String {
    let filler = "x".repeat(1200);
    format!(
        r#"{{"id":"{id}","object":"event","type":"invoice.paid","api_version":"2026-09-30.endive","livemode":false,
"created":1790000000,"data":{{"object":{{"id":"in_{id}","object":"invoice","customer":"cus_{id}","description":"{filler}"}}}}}}"#
    )
}

fn request(id: &str, now: u64) -> Vec<u8> {
    let body = event(id);
    let mac =
        Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).expect("any length will do");
    let signature = mac.chain_update(format!("{now}.{body}")).finalize().into_bytes();
    let signature = signature.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    format!(
        "POST /v1/webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         stripe-signature: t={now},v1={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
