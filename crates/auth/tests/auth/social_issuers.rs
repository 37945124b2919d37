//! Who vouches for whom: an account elsewhere is known by its issuer and its name there.

use serde_json::{Value, json};
use simulators::identity::Identity;
use testing::{TestApp, oidc_provider};

use crate::{
    count,
    social::{go, me, person, social},
};

#[tokio::test]
async fn another_issuer_than_the_one_asked_is_refused() {
    let app = TestApp::start().await;
    let mut gone = go(&app.anonymous(), "/v1/social-logins", "simulator").await;
    gone.back["iss"] = json!("https://login.example.com");
    let asked = app.simulators.identity.token_requests();
    assert_eq!(gone.come_back().await.problem(), (400, "invalid_social_login".into()));
    assert_eq!(app.simulators.identity.token_requests(), asked, "its code went nowhere");
}

#[tokio::test]
async fn an_answer_without_an_issuer_is_refused_where_the_provider_always_names_itself() {
    let app = TestApp::start().await;
    let mut gone = go(&app.anonymous(), "/v1/social-logins", "simulator").await;
    gone.back.as_object_mut().unwrap().remove("iss").expect("it names itself");
    let asked = app.simulators.identity.token_requests();
    assert_eq!(gone.come_back().await.problem(), (400, "invalid_social_login".into()));
    assert_eq!(app.simulators.identity.token_requests(), asked, "its code went nowhere");
    // Others never do.
    let gone = go(&app.anonymous(), "/v1/social-logins", "github").await;
    assert!(gone.back["iss"].is_null());
    gone.come_back().await.ok();
}

#[tokio::test]
async fn the_same_subject_at_two_providers_is_two_people() {
    let second = Identity::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let app = TestApp::start_with(|settings| {
        let social = &mut settings.auth.social;
        let first: Vec<Value> = serde_json::from_str(secrecy::ExposeSecret::expose_secret(
            social.oidc_providers.as_ref().unwrap(),
        ))
        .unwrap();
        let more: Vec<Value> = serde_json::from_str(&oidc_provider("second", &second)).unwrap();
        let both = json!([first[0], more[0]]).to_string();
        social.oidc_providers = Some(both.into());
    })
    .await;
    second.set_now(Some(app.clock.now().timestamp()));
    app.simulators.identity.set_person(person("1", "one@example.com"));
    second.set_person(person("1", "two@example.com"));

    let one = social(&app, "simulator").await.ok();
    let two = social(&app, "second").await.ok();
    app.simulators.identity.set_person(person("1", "three@example.com"));
    let three = social(&app, "github").await.ok();

    let mut people = Vec::new();
    for session in [one, two, three] {
        people.push(me(&app, &session).await["user"]["id"].as_str().unwrap().to_owned());
    }
    people.sort();
    people.dedup();
    assert_eq!(people.len(), 3);
    assert_eq!(count(&app, "select count(*) from identities where subject = '1'").await, 3);
}
