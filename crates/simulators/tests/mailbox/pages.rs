use lettre::{AsyncTransport, message::MultiPart};
use reqwest::{Client, Response};
use serde_json::Value;
use simulators::mailbox::Mailbox;

use crate::support::{mail, mailbox, send, transport};

async fn get(mailbox: &Mailbox, path: &str) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    client.get(format!("{}{path}", mailbox.url())).send().await.unwrap()
}

async fn json(mailbox: &Mailbox, path: &str) -> Value {
    get(mailbox, path).await.json().await.unwrap()
}

async fn send_hostile(mailbox: &Mailbox) {
    let text = "</pre><script>alert(1)</script> https://a.test/\"onclick=x".to_owned();
    let html = "<script>alert(2)</script><img src=\"https://tracker.test/p\">".to_owned();
    let message = mail("ada@a.test")
        .subject("<script>alert(0)</script>")
        .multipart(MultiPart::alternative_plain_html(text, html))
        .unwrap();
    transport(mailbox).send(message).await.unwrap();
}

#[tokio::test]
async fn the_list_shows_the_newest_first() {
    let mailbox = mailbox().await;
    assert!(get(&mailbox, "/").await.text().await.unwrap().contains("No mail yet"));
    for text in ["first", "second"] {
        send(&mailbox, "ada@a.test", text).await.unwrap();
    }
    let page = get(&mailbox, "/").await.text().await.unwrap();
    assert!(page.find("second").unwrap() < page.find("first").unwrap());
    assert!(page.contains("ada@a.test") && page.contains("/messages/2"));
}

#[tokio::test]
async fn hostile_mail_cannot_write_into_the_pages() {
    let mailbox = mailbox().await;
    send_hostile(&mailbox).await;
    for path in ["/", "/messages/1"] {
        let response = get(&mailbox, path).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        let page = response.text().await.unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script-src"));
        assert!(!page.contains("<script") && !page.contains("</pre><"), "{page}");
        assert!(page.contains("alert(0)"), "the subject is still shown");
    }
    let page = get(&mailbox, "/messages/1").await.text().await.unwrap();
    assert!(page.contains("<iframe src=\"/messages/1/html\" sandbox="));
    assert!(page.contains("href=\"https://a.test/\""), "{page}");
}

#[tokio::test]
async fn the_html_part_is_served_into_a_sandbox_without_network() {
    let mailbox = mailbox().await;
    send_hostile(&mailbox).await;
    send(&mailbox, "ada@a.test", "text only").await.unwrap();
    let response = get(&mailbox, "/messages/1/html").await;
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none';") && !policy.contains("allow-scripts"));
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert!(response.text().await.unwrap().contains("<script>alert(2)"));
    for path in ["/messages/2/html", "/messages/9", "/messages/9/html"] {
        assert_eq!(get(&mailbox, path).await.status(), 404);
    }
}

#[tokio::test]
async fn scripts_read_messages_as_json() {
    let mailbox = mailbox().await;
    send(&mailbox, "ada@a.test", "Go to https://app.test/verify").await.unwrap();
    send(&mailbox, "bob@a.test", "hi").await.unwrap();

    let all = json(&mailbox, "/api/messages").await;
    assert_eq!((all[0]["id"].as_u64(), all[1]["id"].as_u64()), (Some(1), Some(2)));
    let ada = json(&mailbox, "/api/messages?to=Ada@a.test").await;
    assert_eq!(ada.as_array().unwrap().len(), 1);
    let message = json(&mailbox, "/api/messages/1").await;
    assert_eq!(ada[0], message);
    assert_eq!(message["from"], "hello@slipway.test");
    assert_eq!(message["to"][0], "ada@a.test");
    assert_eq!(message["links"][0], "https://app.test/verify");
    assert!(message["html"].is_null());
    assert!(message["received_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(get(&mailbox, "/api/messages/3").await.status(), 404);

    let client = Client::builder().no_proxy().build().unwrap();
    let deleted = client.delete(format!("{}/api/messages", mailbox.url())).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    assert_eq!(json(&mailbox, "/api/messages").await, serde_json::json!([]));
}
