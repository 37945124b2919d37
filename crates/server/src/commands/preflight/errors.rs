//! Whether somebody hears of errors: an event in the form that Sentry's clients send.

use anyhow::{Context as _, ensure};
use secrecy::ExposeSecret;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::{Context, Group::Services as Here, Line, Trial};

pub(super) async fn check(context: &Context<'_>) -> Vec<Line> {
    let Some(dsn) = &context.settings.telemetry.sentry_dsn else {
        let action = "Set SENTRY_DSN; errors and panics are only logged without.";
        return vec![Here.fail("error tracking", "SENTRY_DSN is not set", action)];
    };
    if !context.options.send.contains(&Trial::Error) {
        return vec![Here.pass("error tracking", "set; --send=error sends a test event")];
    }
    let sent = send(context, dsn.expose_secret()).await;
    vec![Here.judge("error tracking", sent, "See whether SENTRY_DSN is that of the project.")]
}

async fn send(context: &Context<'_>, dsn: &str) -> anyhow::Result<String> {
    let dsn = Url::parse(dsn).context("SENTRY_DSN is no URL")?;
    let (base, project) = dsn.path().rsplit_once('/').context("SENTRY_DSN names no project")?;
    let mut url = dsn.clone();
    url.set_path(&format!("{base}/api/{project}/envelope/"));
    // The key goes into a header.
    let keyless = url.set_username("").and_then(|()| url.set_password(None));
    ensure!(keyless.is_ok() && !dsn.username().is_empty(), "SENTRY_DSN names no key");
    let id = Uuid::now_v7().simple().to_string();
    let event = json!({
        "event_id": id, "level": "info", "platform": "other", "logger": "preflight",
        "environment": context.settings.app_env.to_string(),
        "message": { "formatted": "Slipway's preflight: errors arrive." },
    });
    let envelope =
        format!("{}\n{}\n{event}\n", json!({ "event_id": id }), json!({ "type": "event" }));
    let auth =
        format!("Sentry sentry_version=7, sentry_client=slipway/1, sentry_key={}", dsn.username());
    let request = context.http.post(url).header("x-sentry-auth", auth);
    let answer = request.header("content-type", "application/x-sentry-envelope").body(envelope);
    let status = answer.send().await?.status();
    ensure!(status.is_success(), "it answered {status}");
    Ok(format!("a test event was taken: {id}"))
}
