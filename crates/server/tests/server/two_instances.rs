//! Two copies of the program over one Postgres.

use std::net::SocketAddr;

use futures::future::join_all;
use rate_limit::Switch;
use serde_json::json;
use server::Product;
use testing::{Client, TestApp};
use tokio::net::TcpListener;

/// Another instance over the database of `app`.
async fn second(app: &TestApp) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let address = app.database_options();
    let pool = app.settings.db.pool(address);
    let product = Product::compose(&app.settings, pool, app.clock.clone()).unwrap();
    let service = product.into_router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    url
}

fn chat() -> serde_json::Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{ "role": "user", "content": "hello" }],
        "max_tokens": 10,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_share_the_plans_quota() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let other = owner.at(&second(&app).await);

    let both: Vec<&Client> = [&owner, &other].into_iter().cycle().take(40).collect();
    let replies = join_all(both.iter().map(|it| it.post("/v1/chat/completions", chat()))).await;

    assert_eq!(replies.iter().filter(|it| it.status == 200).count(), 5);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_share_the_limit_of_attempts_to_sign_in() {
    let app = TestApp::start_with(|settings| settings.rate_limit.rate_limits = Switch::On).await;
    let email = "victim@example.com";
    let (one, other) = (app.anonymous(), app.anonymous().at(&second(&app).await));

    let attempts = [&one, &other].into_iter().cycle().take(16);
    let guess = json!({ "email": email, "password": "wrong horse battery staple" });
    let attempts = attempts.map(|it| it.post("/v1/sessions", guess.clone()));
    let replies = join_all(attempts).await;

    let guessed = replies.iter().filter(|it| it.status == 401).count();
    assert_eq!(guessed, 5, "five a minute per account and address, on both together");
    assert!(replies.iter().all(|it| it.status == 401 || it.status == 429));
}
