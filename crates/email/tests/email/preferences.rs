//! What people want to read, and how they end it with one click.

use email::Welcome;
use reqwest::Method;
use serde_json::json;
use testing::{Reply, TestApp};

use crate::{ADA, digest, queue_to, received, status};

/// Where the newest mail to `address` lets them unsubscribe.
fn link(app: &TestApp, address: &str) -> String {
    let mails = app.simulators.mailbox.messages_to(address);
    let header = mails.last().unwrap().header("List-Unsubscribe").unwrap().to_owned();
    let url = header.replace(['\r', '\n', ' ', '\t', '<', '>'], "");
    let path = url.split_once("/v1/").unwrap().1;
    assert!(mails.last().unwrap().text.as_ref().unwrap().contains(path), "the text has the link");
    assert!(mails.last().unwrap().html.as_ref().unwrap().contains(path), "the page has the link");
    format!("/v1/{path}")
}

/// As a mail program does it (RFC 8058).
async fn one_click(app: &TestApp, path: &str) -> Reply {
    let request = app.anonymous().request(Method::POST, path);
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body("List-Unsubscribe=One-Click");
    Reply::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn people_choose_their_mails_and_their_language() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let path = "/v1/me/email-preferences";
    let all = json!({ "locale": "en", "usage": true, "renders": true, "digest": true, "nudges": true, "news": true });
    assert_eq!(ada.get(path).await.ok(), all);

    let changed = ada.patch(path, json!({ "locale": "de", "digest": false })).await.ok();
    let wanted = json!({ "locale": "de", "usage": true, "renders": true, "digest": false, "nudges": true, "news": true });
    assert_eq!(changed, wanted);
    let (one, two) = tokio::join!(
        ada.patch(path, json!({ "usage": false })),
        ada.patch(path, json!({ "nudges": false }))
    );
    assert!(one.status.is_success() && two.status.is_success());
    let both = ada.get(path).await.ok();
    assert_eq!(
        (&both["usage"], &both["nudges"], &both["digest"]),
        (&json!(false), &json!(false), &json!(false))
    );
    ada.patch(path, json!({ "usage": true, "nudges": true })).await.ok();
    assert_eq!(ada.patch(path, json!({ "security": false })).await.problem().0, 422);
    assert_eq!(ada.patch(path, json!({ "locale": "xx" })).await.problem().0, 422);

    let unwanted = queue_to(&app, &ada.email, ada.user, &digest()).await;
    let needed = queue_to(&app, &ada.email, ada.user, &Welcome { name: "Ada" }).await;
    app.run_jobs().await;
    assert_eq!(status(&app, unwanted).await, "suppressed");
    assert_eq!(status(&app, needed).await, "sent");
    let mails = app.simulators.mailbox.messages_to(&ada.email);
    assert_eq!(mails.last().unwrap().subject, "Willkommen bei Slipway");
}

/// Security cases 46 and 117.
#[tokio::test]
async fn one_click_ends_mails_of_a_kind_and_looking_at_the_link_does_not() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    queue_to(&app, &ada.email, ada.user, &digest()).await;
    app.run_jobs().await;
    let link = link(&app, &ada.email);

    let page = app.anonymous().get(&link).await;
    assert!(page.status.is_success() && page.text.contains("<form method=\"post\">"), "{page:?}");
    let preferences = "/v1/me/email-preferences";
    assert_eq!(ada.get(preferences).await.ok()["digest"], true);

    for _ in 0..2 {
        let ended = one_click(&app, &link).await;
        assert!(ended.status.is_success() && ended.text.contains("the weekly digest"), "{ended:?}");
    }
    let now = ada.get(preferences).await.ok();
    assert_eq!(
        (&now["digest"], &now["nudges"], &now["usage"]),
        (&json!(false), &json!(true), &json!(true))
    );
    let next = queue_to(&app, &ada.email, ada.user, &digest()).await;
    app.run_jobs().await;
    assert_eq!(status(&app, next).await, "suppressed");
}

/// Security case 117.
#[tokio::test]
async fn a_link_that_was_forged_or_put_together_from_two_ends_nothing() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.owner().await, app.owner().await);
    for person in [&ada, &bob] {
        queue_to(&app, &person.email, person.user, &digest()).await;
    }
    app.run_jobs().await;
    let (adas, bobs) = (link(&app, &ada.email), link(&app, &bob.email));
    let cut = adas.rfind('/').unwrap() + 23;
    let mixed = format!("{}{}", &adas[..cut], &bobs[cut..]);
    for path in [
        mixed.as_str(),
        "/v1/email-unsubscribes/guess",
        &format!("{adas}A"),
        &adas[..adas.len() - 4],
    ] {
        let reply = one_click(&app, path).await;
        assert_eq!(reply.problem(), (400, "invalid_link".to_owned()), "{path}");
    }
    for person in [&ada, &bob] {
        assert_eq!(person.get("/v1/me/email-preferences").await.ok()["digest"], true);
    }
}

#[tokio::test]
async fn somebody_without_an_account_unsubscribes_by_address() {
    let app = TestApp::start().await;
    queue_to(&app, ADA, None, &digest()).await;
    app.run_jobs().await;
    let path = link(&app, ADA);
    for _ in 0..2 {
        assert!(one_click(&app, &path).await.status.is_success());
    }
    let next = queue_to(&app, ADA, None, &digest()).await;
    let needed = queue_to(&app, ADA, None, &Welcome { name: "Ada" }).await;
    app.run_jobs().await;
    assert_eq!(status(&app, next).await, "suppressed");
    assert_eq!(status(&app, needed).await, "sent");
    assert_eq!(received(&app).len(), 2);
}

#[tokio::test]
async fn a_mail_that_people_need_offers_no_end() {
    let app = TestApp::start().await;
    queue_to(&app, ADA, None, &Welcome { name: "Ada" }).await;
    app.run_jobs().await;
    let [mail] = &received(&app)[..] else { panic!("one mail") };
    assert_eq!(mail.header("List-Unsubscribe"), None);
    assert!(!mail.text.as_ref().unwrap().contains("unsubscribe"));
}
