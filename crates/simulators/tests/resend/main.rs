//! Resend's API as its documentation describes it.

use std::net::{Ipv4Addr, SocketAddr};

use reqwest::StatusCode;
use serde_json::{Value, json};
use simulators::resend::{Fault, Resend};

async fn start() -> Resend {
    Resend::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap()
}

fn mail() -> Value {
    json!({ "from": "Us <us@example.com>", "to": ["ada@example.com"], "subject": "Hi", "text": "Hi" })
}

async fn send(resend: &Resend, key: &str, mail: &Value) -> reqwest::Result<(StatusCode, Value)> {
    let request = reqwest::Client::new().post(format!("{}/emails", resend.url()));
    let request = request.bearer_auth("re_test").header("idempotency-key", key).json(mail);
    let answer = request.send().await?;
    Ok((answer.status(), answer.json().await?))
}

#[tokio::test]
async fn a_mail_is_taken_once_per_key() {
    let resend = start().await;
    let first = send(&resend, "a", &mail()).await.unwrap();
    assert_eq!(first, send(&resend, "a", &mail()).await.unwrap());
    assert_ne!(first, send(&resend, "b", &mail()).await.unwrap());
    assert_eq!((resend.mails().len(), resend.requests()), (2, 3));

    let mut other = mail();
    other["subject"] = json!("Ho");
    let (status, problem) = send(&resend, "a", &other).await.unwrap();
    assert_eq!(
        (status, &problem["name"]),
        (StatusCode::CONFLICT, &json!("invalid_idempotent_request"))
    );
}

#[tokio::test]
async fn an_answer_that_gets_lost_was_given_all_the_same() {
    let resend = start().await;
    resend.next(Fault::DropAnswer);
    assert!(send(&resend, "a", &mail()).await.is_err());
    assert_eq!(resend.mails().len(), 1);
    let (_, answer) = send(&resend, "a", &mail()).await.unwrap();
    assert_eq!(answer["id"], resend.mails()[0].id);
    assert_eq!(resend.mails().len(), 1);
}

#[tokio::test]
async fn what_is_no_mail_is_refused_and_a_busy_api_says_for_how_long() {
    let resend = start().await;
    for (field, value) in
        [("to", json!([])), ("from", json!("x")), ("text", Value::Null), ("cc", json!("x"))]
    {
        let mut wrong = mail();
        wrong[field] = value;
        assert_eq!(send(&resend, "a", &wrong).await.unwrap().0, 422, "{field}");
    }
    resend.next(Fault::Busy { retry_after: Some(7) });
    let request = reqwest::Client::new().post(format!("{}/emails", resend.url())).json(&mail());
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    let unsigned = reqwest::Client::new().post(format!("{}/emails", resend.url())).json(&mail());
    assert_eq!(unsigned.send().await.unwrap().status(), 401);
    assert!(resend.mails().is_empty());
}
