use std::sync::atomic::Ordering::SeqCst;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::support::{SECRET, World};

#[tokio::test]
async fn slack_gets_a_text_and_the_webhook_signed_json() {
    let world = World::start().await;
    world.break_a_rule().await;
    world.evaluate().await;

    let slack = world.receiver.slack.lock().unwrap();
    let text = slack[0].json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("*Alert: Background jobs have failed for good*\n"), "{text}");
    assert!(
        text.contains("dead_letters was 1; at most 0 is right (ALERT_DEAD_LETTERS)."),
        "{text}"
    );

    let webhook = world.receiver.webhook.lock().unwrap();
    let posted = &webhook[0];
    let header = |name: &str| posted.headers[name].to_str().unwrap();
    let key = BASE64_STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let signed =
        format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), posted.body);
    mac.update(signed.as_bytes());
    let signature = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), signature);
    let body = posted.json();
    assert_eq!(
        (&body["type"], &body["data"]["rule"]),
        (&json!("alert.firing"), &json!("dead_letters"))
    );
}

#[tokio::test]
async fn a_channel_that_fails_is_tried_again_and_holds_up_no_other() {
    let world = World::start().await;
    world.receiver.broken.store(true, SeqCst);
    world.break_a_rule().await;
    world.evaluate().await;
    assert_eq!(world.receiver.slack.lock().unwrap().len(), 1);
    assert_eq!(world.mails().await.len(), 1);
    assert_eq!(world.receiver.kinds(), [""; 0]);

    world.receiver.broken.store(false, SeqCst);
    world.try_again().await;
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
    assert_eq!(world.receiver.slack.lock().unwrap().len(), 1, "the others are not told again");
}

#[tokio::test]
async fn a_notice_that_comes_late_is_not_told_after_a_later_one() {
    let world = World::start().await;
    world.receiver.broken.store(true, SeqCst);
    world.break_a_rule().await;
    world.evaluate().await;
    world.mend_the_rule().await;
    world.evaluate().await;
    world.receiver.broken.store(false, SeqCst);
    world.app.advance(TimeDelta::minutes(5));
    world.evaluate().await;
    world.try_again().await;
    assert_eq!(world.receiver.kinds(), ["alert.resolved"]);
}

#[tokio::test]
async fn a_test_alert_says_by_which_channels_it_got_through() {
    let world = World::start().await;
    world.receiver.broken.store(true, SeqCst);
    let tried = world.operator.post("/admin/v1/alert-tests", json!({})).await.ok();
    let outcome = |at: usize| (&tried[at]["channel"], &tried[at]["delivered"]);
    assert_eq!(outcome(0), (&json!("email"), &json!(true)));
    assert_eq!(outcome(1), (&json!("slack"), &json!(true)));
    assert_eq!(outcome(2), (&json!("webhook"), &json!(false)));
    assert_eq!(tried[2]["error"], "it was answered with 502 Bad Gateway");
    assert_eq!(world.mails().await, ["Test alert"]);
}
