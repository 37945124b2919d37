use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, PASSWORD, Reply, TestApp};

const ROOT: &str = "root@example.com";

async fn invite(app: &TestApp) -> String {
    let mut db = app.db.pool().acquire().await.unwrap();
    app.auth.invite_operator(&mut db, &ROOT.parse().unwrap()).await.unwrap()
}

async fn begin(app: &TestApp, invitation: &str) -> String {
    let chosen = json!({ "token": invitation, "password": PASSWORD });
    let enrolment = app.anonymous().post("/admin/v1/enrolments", chosen).await.ok();
    enrolment["totp_url"].as_str().unwrap().to_owned()
}

async fn finish(app: &TestApp, invitation: &str, code: &str) -> Reply {
    let proof = json!({ "token": invitation, "code": code });
    app.anonymous().post("/admin/v1/enrolment-proofs", proof).await
}

/// An operator whose first code is used up: their second factor, and what they were given.
async fn enrol(app: &TestApp) -> (String, Value) {
    let invitation = invite(app).await;
    let totp = begin(app, &invitation).await;
    let enrolled = finish(app, &invitation, &app.totp_code(&totp)).await.ok();
    app.advance(TimeDelta::seconds(30));
    (totp, enrolled)
}

async fn sign_in(app: &TestApp, password: &str, code: &str) -> Reply {
    let factors = json!({ "email": ROOT, "password": password, "code": code });
    app.anonymous().post("/admin/v1/sessions", factors).await
}

async fn is_in(client: &Client) -> bool {
    client.get("/admin/v1/invariants").await.status == 200
}

#[tokio::test]
async fn an_operator_gets_in_with_both_factors_and_not_with_one() {
    let app = TestApp::start().await;
    let (totp, enrolled) = enrol(&app).await;
    let first = app.anonymous().with_key(enrolled["token"].as_str().unwrap());
    assert!(is_in(&first).await);

    let code = app.totp_code(&totp);
    let wrong = (401, "invalid_credentials".to_owned());
    assert_eq!(sign_in(&app, "another long passphrase", &code).await.problem(), wrong);
    assert_eq!(sign_in(&app, PASSWORD, "").await.problem(), wrong);
    assert_eq!(sign_in(&app, PASSWORD, "000000").await.problem(), wrong);
    let token = sign_in(&app, PASSWORD, &code).await.ok();

    assert!(is_in(&app.anonymous().with_key(token["token"].as_str().unwrap())).await);
}

#[tokio::test]
async fn a_code_works_once_and_an_older_one_no_more() {
    let app = TestApp::start().await;
    let (totp, _) = enrol(&app).await;
    let older = app.totp_code(&totp);
    app.advance(TimeDelta::seconds(30));
    let code = app.totp_code(&totp);

    let (one, two) = tokio::join!(sign_in(&app, PASSWORD, &code), sign_in(&app, PASSWORD, &code));
    assert_eq!(usize::from(one.status == 201) + usize::from(two.status == 201), 1);
    assert_eq!(sign_in(&app, PASSWORD, &older).await.status, 401);
}

#[tokio::test]
async fn a_recovery_code_replaces_the_authenticator_once() {
    let app = TestApp::start().await;
    let (_, enrolled) = enrol(&app).await;
    let code = enrolled["recovery_codes"][3].as_str().unwrap();

    assert_eq!(sign_in(&app, PASSWORD, code).await.status, 201);
    assert_eq!(sign_in(&app, PASSWORD, code).await.status, 401);
}

#[tokio::test]
async fn codes_cannot_be_guessed_by_somebody_who_knows_the_password() {
    let app =
        TestApp::start_with(|settings| settings.rate_limit.rate_limits = rate_limit::Switch::On)
            .await;
    let (totp, _) = enrol(&app).await;
    app.advance(TimeDelta::minutes(2));
    for _ in 0..5 {
        assert_eq!(sign_in(&app, PASSWORD, "000000").await.status, 401);
    }
    assert_eq!(sign_in(&app, PASSWORD, &app.totp_code(&totp)).await.problem().0, 429);
    app.advance(TimeDelta::minutes(2));
    assert_eq!(sign_in(&app, PASSWORD, &app.totp_code(&totp)).await.status, 201);
}

#[tokio::test]
async fn an_invitation_works_once_and_for_a_day_and_only_with_a_right_code() {
    let app = TestApp::start().await;
    let used = invite(&app).await;
    let replaced = invite(&app).await;
    let late = invite(&app).await;
    let gone = (400, "invalid_link".to_owned());
    for invitation in [&used, &replaced, &"x".repeat(43)] {
        let chosen = json!({ "token": invitation, "password": PASSWORD });
        assert_eq!(app.anonymous().post("/admin/v1/enrolments", chosen).await.problem(), gone);
    }
    assert_eq!(finish(&app, &late, "123456").await.problem(), (400, "invalid_code".into()));
    let totp = begin(&app, &late).await;
    assert_eq!(finish(&app, &late, "x").await.problem(), (400, "invalid_code".into()));
    assert_eq!(
        sign_in(&app, PASSWORD, &app.totp_code(&totp)).await.status,
        401,
        "not enrolled yet"
    );
    app.advance(TimeDelta::days(2));
    assert_eq!(finish(&app, &late, &app.totp_code(&totp)).await.problem(), gone);

    let last = invite(&app).await;
    let totp = begin(&app, &last).await;
    finish(&app, &last, &app.totp_code(&totp)).await.ok();
    app.advance(TimeDelta::seconds(30));
    assert_eq!(finish(&app, &last, &app.totp_code(&totp)).await.problem(), gone);
}

#[tokio::test]
async fn enrolling_anew_ends_what_the_old_factors_began_but_being_invited_does_not() {
    let app = TestApp::start().await;
    let (totp, enrolled) = enrol(&app).await;
    let before = app.anonymous().with_key(enrolled["token"].as_str().unwrap());

    let invitation = invite(&app).await;
    assert!(is_in(&before).await);
    assert_eq!(sign_in(&app, PASSWORD, &app.totp_code(&totp)).await.status, 201);
    let renewed = begin(&app, &invitation).await;
    finish(&app, &invitation, &app.totp_code(&renewed)).await.ok();

    assert!(!is_in(&before).await);
    app.advance(TimeDelta::seconds(30));
    assert_eq!(sign_in(&app, PASSWORD, &app.totp_code(&totp)).await.status, 401);
    assert_eq!(sign_in(&app, PASSWORD, &app.totp_code(&renewed)).await.status, 201);
}

#[tokio::test]
async fn an_operator_who_was_let_go_and_comes_back_has_nothing_of_before() {
    let app = TestApp::start().await;
    let (totp, enrolled) = enrol(&app).await;
    let owner = app.owner().await;
    let before = app.anonymous().with_key(enrolled["token"].as_str().unwrap());
    let stand_in = json!({
        "user_id": owner.user(), "reason": "Ticket 7", "code": app.totp_code(&totp),
    });
    let stand_in = before.post("/admin/v1/impersonations", stand_in).await.ok();
    let stand_in = owner.with_key(stand_in["token"].as_str().unwrap());
    stand_in.get("/v1/me").await.ok();
    app.auth.let_operator_go(&ROOT.parse().unwrap()).await.unwrap();

    let invitation = invite(&app).await;

    app.advance(TimeDelta::seconds(30));
    let recovery = enrolled["recovery_codes"][0].as_str().unwrap();
    for code in [app.totp_code(&totp).as_str(), recovery] {
        let refused = sign_in(&app, PASSWORD, code).await;
        assert_eq!(refused.problem(), (401, "invalid_credentials".into()));
    }
    assert!(!is_in(&before).await);
    assert_eq!(stand_in.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    let renewed = begin(&app, &invitation).await;
    finish(&app, &invitation, &app.totp_code(&renewed)).await.ok();
    app.advance(TimeDelta::seconds(30));
    assert_eq!(sign_in(&app, PASSWORD, &app.totp_code(&totp)).await.status, 401);
    assert_eq!(sign_in(&app, PASSWORD, &app.totp_code(&renewed)).await.status, 201);
}

#[tokio::test]
async fn an_operators_session_ends_by_itself_and_by_signing_out() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.advance(TimeDelta::hours(8));
    assert!(!is_in(&operator).await);

    let operator = app.operator().await;
    assert_eq!(operator.delete("/admin/v1/sessions/current").await.status, 204);
    assert!(!is_in(&operator).await);
}

#[tokio::test]
async fn an_operators_old_session_is_not_enough_for_money_and_credentials() {
    let app = TestApp::start().await;
    let (operator, other, owner) = (app.operator().await, app.operator().await, app.owner().await);
    let operators = operator.get("/admin/v1/operators").await.ok();
    let mut operators = operators["items"].as_array().unwrap().iter();
    let other = operators.find(|it| it["email"] == other.email).unwrap()["id"].as_str().unwrap();
    let nothing = uuid::Uuid::now_v7();
    let gift = json!({ "credits": 5, "reason": "r", "reference": "late" });
    let sensitive = async |operator: &Client| {
        let org = format!("/admin/v1/orgs/{}", owner.org());
        [
            operator.post(&format!("{org}/grants"), gift.clone()).await,
            operator.put(&format!("{org}/plan-grant"), json!({})).await,
            operator.delete(&format!("{org}/plan-grant")).await,
            operator.put(&format!("/admin/v1/billing/orgs/{nothing}/closure"), json!({})).await,
            operator
                .post(&format!("/admin/v1/billing/payments/{nothing}/refunds"), json!({}))
                .await,
            operator
                .post(&format!("/admin/v1/users/{}/second-factor-reset", owner.user()), json!({}))
                .await,
            operator.delete(&format!("/admin/v1/operators/{other}")).await,
            operator.post("/admin/v1/coupons", json!({})).await,
            operator.put("/admin/v1/catalogue", json!({})).await,
        ]
    };

    app.advance(TimeDelta::minutes(11));

    let again = (401, "reauthentication_required".to_owned());
    for reply in sensitive(&operator).await {
        assert_eq!(reply.problem(), again);
    }
    assert!(is_in(&operator).await, "what is looked at");
    for reply in sensitive(&app.operator().await).await {
        assert_ne!(reply.status, 401, "{reply:?}");
    }
}

#[tokio::test]
async fn operators_and_customers_cannot_pass_for_each_other() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let key = owner.post("/v1/api-keys", json!({ "name": "all" })).await.ok();
    let key = owner.with_key(key["secret"].as_str().unwrap());

    for customer in [&owner, &key] {
        let (status, code) = customer.get("/admin/v1/invariants").await.problem();
        assert_eq!((status, code.as_str()), (403, "forbidden"));
    }
    assert_eq!(operator.get("/v1/projects").await.problem(), (403, "forbidden".into()));
    assert_eq!(crate::sign_in(&app, &operator.email, PASSWORD).await.status, 401);
}

#[tokio::test]
async fn nothing_in_the_database_opens_a_second_factor() {
    let app = TestApp::start().await;
    let (totp, _) = enrol(&app).await;
    let secret = totp.split("secret=").nth(1).unwrap().split('&').next().unwrap();

    let stored: Vec<u8> = sqlx::query_scalar("select totp_secret from operators where email = $1")
        .bind(ROOT)
        .fetch_one(app.db.pool())
        .await
        .unwrap();

    assert!(!String::from_utf8_lossy(&stored).contains(secret));
    assert_eq!(stored.len(), 12 + 20 + 16, "nonce, secret, tag");
}
