//! Kill -9 of the real program while a provider makes a batch: whatever the step, the provider makes each
//! call once, and each is charged once.

use reqwest::Method;
use serde_json::{Value, json};
use simulators::ai::Endpoint;
use testing::{Client, Reply, TestApp};

use crate::{
    kills::{count, locked, outcomes, somebody_waits, waits},
    processes::{Process, eventually},
};

const CALLS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The provider is asked to make the batch, and has not.
    BeforeItIsMade,
    /// The provider has made it, and we have not written down what it is called.
    BeforeItIsNoted,
    /// It is done, and the first call is being settled.
    WhileBooking,
}

async fn batch(owner: &Client) -> Value {
    let line = |n: usize| {
        let body = json!({ "model": "gpt-4o-mini", "max_tokens": 10,
                           "messages": [{ "role": "user", "content": "hello" }] });
        json!({ "custom_id": n.to_string(), "method": "POST", "url": "/v1/chat/completions", "body": body })
    };
    let lines: Vec<String> = (0..CALLS).map(|n| line(n).to_string()).collect();
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"calls.jsonl\"\r\n\r\n{}\r\n--x--\r\n",
        lines.join("\n")
    );
    let request = owner.request(Method::POST, "/v1/files");
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(form);
    let file = Reply::read(request.send().await.unwrap()).await.ok();
    let batch = json!({ "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h" });
    owner.post("/v1/batches", batch).await.ok()
}

/// As every minute.
async fn run_batches(app: &TestApp) {
    let add = "select graphile_worker.add_job('ai.run_batches', '{\"job\": {}}'::json)";
    sqlx::query(add).execute(app.db.pool()).await.unwrap();
}

async fn kill_at(step: Step) {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let provider = &app.simulators.ai;
    let asked = |so_often| async move {
        provider.wait_until(|state| state.arrived(Endpoint::Batches) >= so_often).await;
    };
    let lock = match step {
        Step::BeforeItIsMade | Step::BeforeItIsNoted => {
            provider.hold();
            batch(&owner.at(&process.url)).await;
            asked(1).await;
            if step == Step::BeforeItIsNoted {
                let lock = locked(&app, "select from ai_provider_batches for update").await;
                provider.release();
                somebody_waits(&app).await;
                Some(lock)
            } else {
                None
            }
        }
        Step::WhileBooking => {
            provider.hold_batches();
            batch(&owner.at(&process.url)).await;
            asked(2).await;
            eventually("it is put down", async || {
                count(&app, "ai_provider_batches where leased_until is null").await == 1
            })
            .await;
            let lock = locked(&app, "select from holds for update").await;
            provider.release_batches();
            run_batches(&app).await;
            somebody_waits(&app).await;
            Some(lock)
        }
    };
    process.signal("-KILL");
    process.child.wait().await.unwrap();
    eventually("nobody waits", async || !waits(&app).await).await;
    drop(lock);
    provider.release();

    // As if some minutes had passed.
    let later = "update ai_provider_batches
                 set leased_until = now() - interval '1 minute', submitting_at = submitting_at - interval '6 minutes'";
    sqlx::query(later).execute(app.db.pool()).await.unwrap();
    let next = Process::beside(&app, directory.path()).await;
    run_batches(&app).await;
    let unsure = "ai_provider_batches where submitting_at is not null and provider_id is null";
    eventually("it is known whether it was made", async || count(&app, unsure).await == 0).await;
    run_batches(&app).await;
    eventually("it ends", async || count(&app, "ai_batches where ended_at is null").await == 0)
        .await;

    let batches = owner.at(&next.url).get("/v1/batches").await.ok();
    let counts = json!({ "total": CALLS, "completed": CALLS, "failed": 0 });
    assert_eq!(batches["data"][0]["request_counts"], counts, "{step:?}");
    assert_eq!((provider.batches(), provider.batched_calls()), (1, CALLS), "{step:?}");
    assert_eq!(outcomes(&app).await, (3, 0), "{step:?}: each is charged once, none is unknown");
    assert_eq!(
        (count(&app, "holds").await, count(&app, "usage_records where in_batch").await),
        (0, 3)
    );
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_provider_makes_a_batch_it_is_made_once() {
    kill_at(Step::BeforeItIsMade).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_providers_batch_is_noted_it_is_found_again() {
    kill_at(Step::BeforeItIsNoted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_batch_is_booked_each_call_is_charged_once() {
    kill_at(Step::WhileBooking).await;
}
