use serde_json::{Value, json};
use simulators::ai::Fault;
use testing::{Client, in_time};
use web::Role;

use crate::{asked, charged, prompts, start};

async fn begin(client: &Client, more: Value) -> String {
    let mut input = json!({ "title": "Slogans" });
    for (name, value) in more.as_object().unwrap() {
        input[name] = value.clone();
    }
    let made = client.post("/v1/conversations", input).await.ok();
    format!("/v1/conversations/{}", made["id"].as_str().unwrap())
}

fn say(content: &str) -> Value {
    json!({ "model": "gpt-4o-mini", "max_tokens": 50, "content": content })
}

#[tokio::test]
async fn what_was_said_before_goes_along_with_what_is_said() {
    let (app, owner) = start().await;
    let persona = json!({ "name": "Captain", "text": "You are an old captain." });
    let persona = owner.post("/v1/personas", persona).await.ok();
    let path = begin(&owner, json!({ "persona_id": persona["id"] })).await;
    let messages = format!("{path}/messages");
    let first = owner.post(&messages, say("For a boat")).await;
    assert_eq!(first.status, 201, "{first:?}");
    let first = first.ok();
    assert_eq!(first["messages"][1]["content"], "You said: For a boat");
    assert!(first["cost_nano_usd"].as_i64() > Some(0));
    owner.post(&messages, say("For a ship")).await.ok();

    let asked = prompts(&app);
    let said: Vec<_> = asked[1].as_array().unwrap().iter().map(|it| &it["content"]).collect();
    assert!(said[0].as_str().unwrap().starts_with("You are an old captain."), "{said:?}");
    assert_eq!(said[1..], ["For a boat", "You said: For a boat", "For a ship"]);
    let page = owner.get(&format!("{messages}?limit=3")).await.ok();
    let positions: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|it| &it["position"]).collect();
    assert_eq!(positions, [4, 3, 2]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = owner.get(&format!("{messages}?cursor={cursor}")).await.ok();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    for (words, found) in [("A SHIP", 1), ("slog", 1), ("submarine", 0), ("%25", 0)] {
        let list = owner.get(&format!("/v1/conversations?q={words}")).await.ok();
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{words}");
    }
    assert_eq!(charged(&app).await, (2, 0));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn only_what_has_room_goes_along() {
    let (app, owner) = start().await;
    let path = begin(&owner, json!({ "context_tokens": 100 })).await;
    let messages = format!("{path}/messages");
    owner.post(&messages, say(&"boat ".repeat(60))).await.ok();
    owner.post(&messages, say("a ship")).await.ok();
    owner.post(&messages, say("and now?")).await.ok();
    let asked = prompts(&app);
    assert_eq!(asked[1].as_array().unwrap().len(), 2, "{}", asked[1]);
    let last: Vec<_> = asked[2].as_array().unwrap()[1..].iter().map(|it| &it["content"]).collect();
    assert_eq!(last, ["a ship", "You said: a ship", "and now?"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_speak_at_once_are_both_kept_with_their_answers() {
    let (app, owner) = start().await;
    let messages = format!("{}/messages", begin(&owner, json!({})).await);
    let (one, other) =
        tokio::join!(owner.post(&messages, say("a boat")), owner.post(&messages, say("a ship")),);
    for (reply, word) in [(one, "boat"), (other, "ship")] {
        let reply = reply.ok();
        for message in reply["messages"].as_array().unwrap() {
            assert!(message["content"].as_str().unwrap().contains(word), "{reply}");
        }
    }
    let all = owner.get(&messages).await.ok();
    let positions: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|it| &it["position"]).collect();
    assert_eq!(positions, [4, 3, 2, 1]);
    assert_eq!(charged(&app).await, (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_can_read_is_not_charged() {
    let (app, owner) = start().await;
    let path = begin(&owner, json!({})).await;
    let messages = format!("{path}/messages");
    app.simulators.ai.hold();
    let asking = owner.post(&messages, say("a boat"));
    let deleting = async {
        in_time("it is asked", app.simulators.ai.wait_for_calls(1)).await;
        assert_eq!(owner.delete(&path).await.status, 204);
        app.simulators.ai.release();
    };
    let (reply, ()) = tokio::join!(asking, deleting);
    assert_eq!(reply.problem().0, 503);
    assert_eq!(charged(&app).await, (0, 1));

    let path = begin(&owner, json!({})).await;
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });
    let refused = owner.post(&format!("{path}/messages"), say("a boat")).await;
    assert_eq!(refused.problem(), (400, "provider_refused".into()));
    let said = owner.get(&format!("{path}/messages")).await.ok();
    assert_eq!(said["items"], json!([]), "what was not answered was not said");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_conversation_is_its_persons_alone_and_goes_whole() {
    let (app, owner) = start().await;
    sqlx::query("update entitlements set seats = 9").execute(app.db.pool()).await.unwrap();
    let member = app.member(&owner, Role::Member).await;
    let path = begin(&owner, json!({})).await;
    owner.post(&format!("{path}/messages"), say("a boat")).await.ok();
    assert_eq!(member.get("/v1/conversations").await.ok()["items"], json!([]));
    let calls = asked(&app);
    for reply in [
        member.get(&path).await,
        member.get(&format!("{path}/messages")).await,
        member.post(&format!("{path}/messages"), say("hello")).await,
        member.delete(&path).await,
    ] {
        assert_eq!(reply.problem(), (404, "conversation_not_found".into()));
    }
    assert_eq!(asked(&app), calls);
    assert_eq!(owner.delete(&path).await.status, 204);
    let left: i64 = sqlx::query_scalar("select count(*) from conversation_messages")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_nobody_could_say_is_refused() {
    let (app, owner) = start().await;
    let messages = format!("{}/messages", begin(&owner, json!({})).await);
    for (field, input) in [
        ("/content", say(" ")),
        ("/content", say("\u{1b}[31m")),
        ("/content", say(&"x".repeat(50_001))),
        ("/model", json!({ "content": "a" })),
        ("/max_tokens", json!({ "content": "a", "max_tokens": 0 })),
    ] {
        let reply = owner.post(&messages, input).await;
        assert_eq!(reply.body["errors"][0]["pointer"], field, "{reply:?}");
    }
    for (field, input) in [
        ("/title", json!({ "title": "" })),
        ("/context_tokens", json!({ "title": "a", "context_tokens": 99 })),
    ] {
        let reply = owner.post("/v1/conversations", input).await;
        assert_eq!(reply.body["errors"][0]["pointer"], field, "{reply:?}");
    }
    assert_eq!(asked(&app), 0);
}
