//! Passkeys, with a device that is made of software.

mod device;
mod keeping;
mod refusals;
mod signing_in;

pub(crate) use device::Device;
use serde_json::{Value, json};
use testing::{Client, Reply, TestApp};

const SITE: &str = "https://slipway.example";

/// The product under a name: passkeys are for names, not for addresses.
pub(crate) async fn start() -> TestApp {
    TestApp::start_with(|settings| settings.app_url = Some(SITE.parse().unwrap())).await
}

/// A passkey of `client`, made with a device of theirs; and what it was answered with.
pub(crate) async fn add(client: &Client, name: &str) -> (Device, Value) {
    let mut device = Device::new(SITE);
    let added = register(client, &mut device, name).await.ok();
    (device, added)
}

async fn register(client: &Client, device: &mut Device, name: &str) -> Reply {
    let asked = client.post("/v1/me/passkey-registrations", json!({})).await.ok();
    let credential = device.create(&asked["public_key"]);
    let new = json!({ "ceremony": asked["ceremony"], "credential": credential, "name": name });
    client.post("/v1/me/passkeys", new).await
}

/// What a passkey is asked with to sign in: anybody's, or after the first factor.
pub(crate) async fn ask(app: &TestApp, challenge: Option<&Value>) -> Value {
    let whose = json!({ "challenge": challenge });
    app.anonymous().post("/v1/passkey-ceremonies", whose).await.ok()
}

/// The body that answers `asked`.
pub(crate) fn answer(asked: &Value, device: &mut Device) -> Value {
    json!({ "ceremony": asked["ceremony"], "credential": device.get(&asked["public_key"]) })
}

async fn send(app: &TestApp, answer: &Value) -> Reply {
    app.anonymous().post("/v1/sessions/passkey", answer.clone()).await
}

/// Signs in with nothing but `device`.
async fn sign_in_with(app: &TestApp, device: &mut Device) -> Reply {
    let asked = ask(app, None).await;
    send(app, &answer(&asked, device)).await
}

/// The first factor: what the second is asked with.
async fn first_factor(app: &TestApp, client: &Client) -> Value {
    let reply = crate::sign_in(app, &client.email, testing::PASSWORD).await;
    let body = reply.body.clone();
    assert_eq!(reply.problem(), (401, "second_factor_required".into()));
    assert_eq!(body["passkey"], true);
    body["challenge"].clone()
}

fn refused() -> (u16, String) {
    (401, "passkey_refused".into())
}
