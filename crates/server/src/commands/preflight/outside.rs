//! What customers see at `APP_URL`.

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use reqwest::{Response, header::HeaderMap, tls::TlsInfo};
use serde_json::Value;

use super::{Context, Group::Features as Here, Line, certificate};

/// Certificates are renewed a month before they end; less than this is a renewal that fails.
const EXPIRES: TimeDelta = TimeDelta::days(14);

pub(super) async fn check(context: &Context<'_>) -> Vec<Line> {
    let reach = "See whether APP_URL is right, and the API runs and is reachable from here.";
    let answer = match get(context, "/v1/plans").await {
        Err(error) => return vec![Here.fail("public address", format!("{error:#}"), reach)],
        Ok(answer) => answer,
    };
    let url = context.settings.public_url();
    vec![
        Here.pass("public address", format!("{url} answers")),
        tls(context, &answer),
        headers(context, answer.headers()),
        limits(context, answer.headers()),
        health(context).await,
    ]
}

async fn get(context: &Context<'_>, path: &str) -> anyhow::Result<Response> {
    let url = context.settings.public_url().join(path)?;
    let answer = context.http.get(url.clone()).send().await;
    let answer = answer.with_context(|| format!("{url} does not answer"))?;
    let status = answer.status();
    // Only `/health` answers 503 by itself, and says why.
    ensure!(status.is_success() || status == 503, "{url} answers {status}: is it Slipway?");
    Ok(answer)
}

fn tls(context: &Context<'_>, answer: &Response) -> Line {
    if context.settings.public_url().scheme() != "https" {
        let found = "APP_URL is plain http";
        if context.settings.app_env.is_production() {
            return Here.fail("TLS", found, "Give it a certificate and set APP_URL to https://…");
        }
        return Here.skip("TLS", found);
    }
    let certificate = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let Some(ends) = certificate.and_then(certificate::end) else {
        return Here.warn("TLS", "valid; its end cannot be read", "Look at the certificate's end.");
    };
    let left = ends - context.product.clock.now();
    let found = format!("valid for {} days more", left.num_days());
    if left < EXPIRES {
        return Here.fail("TLS", found, "Renew the certificate; it should have renewed itself.");
    }
    Here.pass("TLS", found)
}

fn headers(context: &Context<'_>, headers: &HeaderMap) -> Line {
    let mut needed = vec![
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "x-request-id",
    ];
    if context.settings.app_env.is_production() {
        needed.push("strict-transport-security");
    }
    let missing: Vec<_> = needed.into_iter().filter(|it| !headers.contains_key(*it)).collect();
    if missing.is_empty() {
        return Here.pass("security headers", "all are there");
    }
    let action =
        "Something before Slipway takes them away, or another program answers: see the proxy.";
    Here.fail("security headers", format!("missing: {}", missing.join(", ")), action)
}

fn limits(context: &Context<'_>, headers: &HeaderMap) -> Line {
    match headers.get("ratelimit-policy").and_then(|it| it.to_str().ok()) {
        Some(policy) => Here.pass("rate limits", policy),
        None if context.settings.app_env.is_production() => {
            Here.fail("rate limits", "answers name none", "Set RATE_LIMITS=on.")
        }
        None => Here.warn("rate limits", "answers name none", "Set RATE_LIMITS=on for the launch."),
    }
}

/// What that deployment says of itself, which may not be this one.
async fn health(context: &Context<'_>) -> Line {
    let outcome = async {
        let health: Value = get(context, "/health").await?.json().await?;
        let checks = health["checks"].as_object().context("/health says nothing")?;
        let bad = checks.iter().filter(|(_, it)| it[0]["status"] != "pass");
        let bad: Vec<&str> = bad.map(|(name, _)| name.as_str()).collect();
        ensure!(bad.is_empty(), "not well: {}", bad.join(", "));
        Ok::<_, anyhow::Error>(format!("all {} checks pass", checks.len()))
    };
    Here.judge("health", outcome.await, "See the log of the deployment, and the lines above.")
}
