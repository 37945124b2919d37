//! How many calls a second can be reserved and settled. Prints calls a second and the latency of a
//! reservation: one task, 64 tasks of one org, 64 tasks over 1,000 orgs.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kernel::{Id, NanoUsd, Org};
use quotas::{Call, Used};
use testing::TestApp;
use usage::{ModelKind, Outcome, PriceBook, Quantities};

const SECONDS: u64 = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let prices = PriceBook::new(app.db.clone(), app.clock.clone());
    let model = prices.find("openai", "gpt-4o-mini", ModelKind::Chat).await?;
    let call = Call {
        org: owner.org(),
        user: owner.user(),
        api_key: None,
        project: None,
        operation: "chat",
        provider: model.provider,
        model: model.name,
        price: model.price,
        max_tokens: 1000,
        max_cost: NanoUsd(600_000),
        request_id: Some("0199d7a8-6bd5-7d6f-8d5c-3a1f2b4c5d6e".to_owned()),
    };
    sqlx::query(
        "insert into orgs select gen_random_uuid(), 'org ' || n, 'UTC', now() from generate_series(1, 1000) n",
    )
    .execute(app.db.pool())
    .await?;
    sqlx::query(
        "insert into budgets (id, scope, org_id, kind, period, unit, amount, highest_amount, period_start)
         select gen_random_uuid(), 'org', o.id, k.kind, k.period, k.unit, 1e15, 1e15, date_trunc(k.period, now(), 'UTC')
         from orgs o, (values ('included', 'day', 'requests'), ('included', 'month', 'requests'),
                              ('included', 'month', 'nano_usd'), ('limit', 'day', 'unknowns')) k (kind, period, unit)
         on conflict on constraint budget_exists do update set amount = 1e15, highest_amount = 1e15",
    )
    .execute(app.db.pool())
    .await?;
    sqlx::query("update budgets set amount = 1e15").execute(app.db.pool()).await?;
    let orgs: Vec<Id<Org>> =
        sqlx::query_scalar("select id from orgs").fetch_all(app.db.pool()).await?;
    let hot = [owner.org()];

    for (name, tasks, orgs) in [
        ("1 task", 1, &hot[..]),
        ("64 tasks, hot org", 64, &hot[..]),
        ("64 tasks, 1,000 orgs", 64, &orgs[..]),
    ] {
        run(&app, &call, orgs, tasks, Duration::from_secs(1)).await?;
        let (calls, mut latencies) =
            run(&app, &call, orgs, tasks, Duration::from_secs(SECONDS)).await?;
        latencies.sort_unstable();
        let at =
            |percent: usize| latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)];
        println!("{name}: {} calls/s, reserve p50 {:?}, p99 {:?}", calls / SECONDS, at(50), at(99));
        app.quotas.settled().await;
    }
    let broken = quotas::violations(app.db.pool()).await?;
    anyhow::ensure!(broken.is_empty(), "the books are wrong: {broken:?}");
    Ok(())
}

async fn run(
    app: &TestApp,
    call: &Call,
    orgs: &[Id<Org>],
    tasks: usize,
    time: Duration,
) -> anyhow::Result<(u64, Vec<Duration>)> {
    let end = Instant::now() + time;
    let tasks = (0..tasks).map(|task| {
        let (quotas, call, orgs) = (app.quotas.clone(), call.clone(), orgs.to_vec());
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut turn = task * 31;
            while Instant::now() < end {
                turn += 1;
                let call = Call { org: orgs[turn % orgs.len()], ..call.clone() };
                let start = Instant::now();
                let hold = quotas.reserve(call).await?;
                latencies.push(start.elapsed());
                let quantities =
                    Quantities { input_tokens: 10, output_tokens: 10, ..Quantities::default() };
                let (outcome, cost) = (Outcome::Succeeded, NanoUsd(7500));
                let used = Used { outcome, quantities, estimated: false, cost, credits: 1 };
                quotas.settle_soon(&hold, used).await;
            }
            Ok::<_, quotas::Error>(latencies)
        })
    });
    let mut all = Vec::new();
    for latencies in join_all(tasks).await {
        all.extend(latencies??);
    }
    Ok((all.len() as u64, all))
}
