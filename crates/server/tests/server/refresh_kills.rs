//! Kill -9 of the real program after it has exchanged a refresh token and before anybody has its answer.

use serde_json::json;
use testing::TestApp;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    kills::count,
    processes::{Process, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_its_answer_a_refresh_is_repeated_with_the_old_token_once() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let token = owner.refresh_token.clone().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let body = json!({ "refresh_token": token }).to_string();
    let request = format!(
        "POST /v1/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = process.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let replaced = "refresh_tokens where replaced_at is not null";
    eventually("it is exchanged", async || count(&app, replaced).await == 1).await;
    process.signal("-KILL");
    process.child.wait().await.unwrap();
    drop(connection);
    // As if the client had waited longer than its other tabs may.
    let later = "update refresh_tokens set replaced_at = replaced_at - interval '1 minute'";
    sqlx::query(later).execute(app.db.pool()).await.unwrap();

    let next = Process::beside(&app, directory.path()).await;
    let client = app.anonymous().at(&next.url);
    let refresh =
        async |token: &str| client.post("/v1/tokens", json!({ "refresh_token": token })).await;
    let pair = refresh(&token).await.ok();

    let me = client.with_key(pair["access_token"].as_str().unwrap());
    assert_eq!(me.get("/v1/me").await.ok()["user"]["id"], json!(owner.user()));
    refresh(pair["refresh_token"].as_str().unwrap()).await.ok();
    sqlx::query(later).execute(app.db.pool()).await.unwrap();
    assert_eq!(refresh(&token).await.problem(), (401, "refresh_token_reused".into()));
}
