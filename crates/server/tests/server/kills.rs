//! Kill -9 of the real program at every step of a call, reached from outside: by a row lock that the
//! test holds, and by a provider that waits. Whatever the step, the books are exact afterwards.

use std::path::Path;

use sqlx::{Postgres, Transaction};
use testing::{Client, TestApp};

use crate::processes::{Process, calls_arrive, chat, eventually};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The reservation waits for a row.
    BeforeReserving,
    /// The provider has the call.
    WhileTheProviderWorks,
    /// The answer is there, and the settlement waits for the hold.
    BeforeSettling,
    /// The client has seen the first bytes of a stream.
    DuringTheAnswer,
    /// The client has the whole answer.
    After,
}

async fn kill_at(step: Step) {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    // Warm: the program has a picture of the books.
    owner.at(&process.url).post("/v1/chat/completions", chat(false)).await.ok();
    settled(&app, 1).await;

    let lock = reach(&app, &owner, &process, step).await;
    process.signal("-KILL");
    process.child.wait().await.unwrap();
    // A statement that waits in Postgres would still be done for the dead: it must time out first.
    eventually("nobody waits", async || !waits(&app).await).await;
    drop(lock);
    app.simulators.ai.release();

    recovered(&app, directory.path()).await;
    let (succeeded, unknown) = outcomes(&app).await;
    match step {
        Step::BeforeReserving => assert_eq!((succeeded, unknown), (1, 0), "nothing was begun"),
        Step::After => assert_eq!((succeeded, unknown), (2, 0), "what was answered is charged"),
        _ => assert_eq!((succeeded, unknown), (1, 1), "its outcome is unknown, and the platform's"),
    }
    app.assert_books_balance().await;
}

/// Makes a call and waits until it is at `step`; what is returned keeps it there.
async fn reach(
    app: &TestApp,
    owner: &Client,
    process: &Process,
    step: Step,
) -> Option<Transaction<'static, Postgres>> {
    let call = |stream| {
        let client = owner.at(&process.url);
        tokio::spawn(async move {
            let call = client.request(reqwest::Method::POST, "/v1/chat/completions");
            // The connection dies with the process.
            call.json(&chat(stream)).send().await.ok();
        })
    };
    match step {
        Step::BeforeReserving => {
            let lock = locked(app, "select from budgets for update").await;
            call(false);
            somebody_waits(app).await;
            return Some(lock);
        }
        Step::WhileTheProviderWorks | Step::BeforeSettling => {
            app.simulators.ai.hold();
            call(false);
            calls_arrive(app, 2).await;
            if step == Step::BeforeSettling {
                let lock = locked(app, "select from holds for update").await;
                app.simulators.ai.release();
                somebody_waits(app).await;
                return Some(lock);
            }
        }
        Step::DuringTheAnswer => {
            app.simulators.ai.hold();
            call(true);
            calls_arrive(app, 2).await;
        }
        Step::After => {
            call(false).await.unwrap();
            settled(app, 2).await;
        }
    }
    None
}

pub(crate) async fn locked(
    app: &TestApp,
    statement: &'static str,
) -> Transaction<'static, Postgres> {
    let mut lock = app.db.begin().await.unwrap();
    sqlx::query(statement).execute(&mut *lock).await.unwrap();
    lock
}

pub(crate) async fn somebody_waits(app: &TestApp) {
    eventually("somebody waits for the row", async || waits(app).await).await;
}

pub(crate) async fn waits(app: &TestApp) -> bool {
    sqlx::query_scalar(
        "select exists (select from pg_stat_activity
                        where datname = current_database() and wait_event_type = 'Lock')",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

async fn settled(app: &TestApp, calls: i64) {
    eventually("the call is settled", async || outcomes(app).await.0 == calls).await;
}

/// Another process, after the holds of the dead one have expired.
pub(crate) async fn recovered(app: &TestApp, directory: &Path) {
    eventually("the holds expire", async || {
        count(app, "holds where expires_at > now()").await == 0
    })
    .await;
    let _process = Process::beside(app, directory).await;
    eventually("the holds are given up", async || count(app, "holds").await == 0).await;
}

pub(crate) async fn count(app: &TestApp, rows: &str) -> i64 {
    let query = format!("select count(*) from {rows}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(app.db.pool()).await.unwrap()
}

pub(crate) async fn outcomes(app: &TestApp) -> (i64, i64) {
    sqlx::query_as(
        "select count(*) filter (where outcome = 'succeeded'),
                count(*) filter (where outcome = 'unknown' and paid_by = 'platform')
         from usage_records",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_it_reserves_a_call_leaves_nothing() {
    kill_at(Step::BeforeReserving).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_provider_works_a_call_is_the_platforms() {
    kill_at(Step::WhileTheProviderWorks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_it_settles_a_call_is_the_platforms() {
    kill_at(Step::BeforeSettling).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_a_stream_a_call_is_the_platforms() {
    kill_at(Step::DuringTheAnswer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_its_answer_a_call_is_charged_once() {
    kill_at(Step::After).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instance_killed_under_load_leaves_exact_books() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let mut tx = app.db.begin().await.unwrap();
    let grant = quotas::NewGrant {
        org: owner.org(),
        source: quotas::GrantSource::Pack,
        amount: 1_000,
        expires_at: None,
        external_id: "pack".to_owned(),
    };
    grant.give(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut processes = [
        Process::beside(&app, directories[0].path()).await,
        Process::beside(&app, directories[1].path()).await,
    ];
    let mut callers = Vec::new();
    for caller in 0..16 {
        let client = owner.at(&processes[caller % 2].url);
        callers.push(tokio::spawn(async move {
            let mut answered = 0;
            loop {
                let call = client.request(reqwest::Method::POST, "/v1/chat/completions");
                let Ok(answer) = call.json(&chat(caller % 3 == 0)).send().await else { break };
                let whole = answer.status().is_success() && answer.bytes().await.is_ok();
                answered += i64::from(whole);
            }
            answered
        }));
    }
    // Under way: some calls are being reserved, some made, some settled, at whatever step they are.
    app.simulators.ai.wait_for_calls(60).await;

    for process in &mut processes {
        process.signal("-KILL");
    }
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    let process = Process::beside(&app, directories[0].path()).await;
    let client = owner.at(&process.url);
    let ready = async || client.get("/health/ready").await.status == 200;
    eventually("the next one is ready, whatever the dead left", ready).await;
    eventually("the holds end", async || count(&app, "holds").await == 0).await;

    let (succeeded, unknown) = outcomes(&app).await;
    let arrived = i64::try_from(app.simulators.ai.state().generations()).unwrap();
    assert!(succeeded + unknown >= arrived, "every call that reached the provider is recorded");
    let credits: i64 = sqlx::query_scalar(
        "select sum(credits)::bigint from usage_records where outcome <> 'succeeded'",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap_or_default();
    assert_eq!(credits, 0, "nobody pays for what was not learned");
    assert!(answered > 0, "it was under load");
    app.assert_books_balance().await;
}
