use serde_json::{Value, json};
use simulators::ai::BatchFault;

use crate::support::Provider;

const CHAT: &str = "/v1/chat/completions";

fn line(id: &str, model: &str) -> String {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": id }] });
    json!({ "custom_id": id, "method": "POST", "url": CHAT, "body": body }).to_string()
}

async fn batch_of(provider: &Provider, lines: &[String]) -> Value {
    let file = provider.upload(&lines.join("\n")).await;
    let batch = json!({
        "input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h",
        "metadata": { "name": "mine" },
    });
    let (status, batch) = provider.post("/batches", batch).await;
    assert_eq!(status, 200, "{batch}");
    batch
}

async fn look(provider: &Provider, batch: &Value) -> Value {
    provider.get(&format!("/batches/{}", batch["id"].as_str().unwrap())).await.1
}

async fn lines_of(provider: &Provider, file: &Value) -> Vec<Value> {
    let text = provider.text(&format!("/files/{}/content", file.as_str().unwrap())).await;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_batch_is_done_when_it_is_looked_at_and_its_answers_are_a_file() {
    let provider = Provider::start().await;
    let lines = [line("a", "gpt-4o-mini"), line("b", "gpt-4o-mini").replace("user", "nobody")];
    let batch = batch_of(&provider, &lines).await;
    assert_eq!((&batch["status"], &batch["object"]), (&json!("in_progress"), &json!("batch")));

    let batch = look(&provider, &batch).await;

    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["request_counts"], json!({ "total": 2, "completed": 1, "failed": 1 }));
    let answers = lines_of(&provider, &batch["output_file_id"]).await;
    assert_eq!((answers.len(), &answers[0]["custom_id"]), (1, &json!("a")));
    assert!(answers[0]["response"]["body"]["usage"]["prompt_tokens"].is_i64());
    let errors = lines_of(&provider, &batch["error_file_id"]).await;
    assert_eq!(errors[0]["response"]["status_code"], 400);
    let listed = provider.get("/batches?limit=1").await.1;
    assert_eq!(listed["data"][0]["metadata"]["name"], "mine");
}

#[tokio::test]
async fn cancelled_or_expired_it_keeps_what_was_made() {
    for cancels in [true, false] {
        let provider = Provider::start().await;
        provider.ai.hold_batches();
        let lines = ["a", "b", "c"].map(|id| line(id, "gpt-4o-mini"));
        let batch = batch_of(&provider, &lines).await;
        provider.ai.advance_batches(1);
        if cancels {
            let path = format!("/batches/{}/cancel", batch["id"].as_str().unwrap());
            provider.post(&path, json!({})).await;
        } else {
            provider.ai.expire_batches();
        }
        let batch = look(&provider, &batch).await;
        assert_eq!(lines_of(&provider, &batch["output_file_id"]).await.len(), 1);
        let errors = lines_of(&provider, &batch["error_file_id"]).await;
        let code = if cancels { "batch_cancelled" } else { "batch_expired" };
        assert!(errors.len() == 2 && errors.iter().all(|it| it["error"]["code"] == code));
        assert_eq!(provider.ai.batched_calls(), 1);
    }
}

#[tokio::test]
async fn two_models_in_a_file_or_a_fault_make_it_fail_before_anything_is_made() {
    let provider = Provider::start().await;
    let mixed = [line("a", "gpt-4o-mini"), line("b", "gpt-4o")];
    assert_eq!(batch_of(&provider, &mixed).await["status"], "failed");
    provider.ai.next_batch(BatchFault::Invalid);
    assert_eq!(batch_of(&provider, &mixed[..1]).await["status"], "failed");
    assert_eq!(provider.ai.batched_calls(), 0);
}

#[tokio::test]
async fn each_key_has_files_and_batches_of_its_own() {
    let provider = Provider::start().await;
    let batch = batch_of(&provider, &[line("a", "gpt-4o-mini")]).await;
    let path = format!("/batches/{}", batch["id"].as_str().unwrap());
    assert_eq!(provider.get_with("sk-other", &path).await.0, 404);
    assert_eq!(provider.get_with("sk-other", "/batches").await.1["data"], json!([]));
}
