use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::http;
use oauth2::{HttpRequest, HttpResponse};
use reqwest::{Client, Response, redirect::Policy};
use serde::de::DeserializeOwned;

/// Every provider's answers are far below this.
const LARGEST: usize = 512 * 1024;
const WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Asks providers: with a time limit, a size limit, and nowhere but where it was told to.
#[derive(Clone)]
pub(super) struct Http(Client);

/// Why a provider did not help.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It does not answer, or says it cannot.
    #[error("the provider does not answer")]
    Away(#[source] anyhow::Error),
    /// It answers what it must not.
    #[error("the provider's answer is not understood")]
    Nonsense(#[source] anyhow::Error),
}

impl Http {
    pub(super) fn new() -> anyhow::Result<Self> {
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(WITHIN)
            .connect_timeout(CONNECT_WITHIN)
            .user_agent("slipway")
            .build()?;
        Ok(Self(client))
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        token: Option<&str>,
    ) -> Result<T, Failure> {
        let mut request = self.0.get(url).header("accept", "application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(away)?;
        if !answer.status().is_success() {
            return Err(Failure::Away(anyhow!("{url} answered {}", answer.status())));
        }
        let body = read(answer).await?;
        serde_json::from_slice(&body)
            .with_context(|| format!("read the answer of {url}"))
            .map_err(Failure::Nonsense)
    }

    /// For `oauth2`, which brings no client of its own here.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failure> {
        let request = reqwest::Request::try_from(request).map_err(away)?;
        let answer = self.0.execute(request).await.map_err(away)?;
        let mut response = http::Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        if answer.status().is_server_error() {
            return Err(Failure::Away(anyhow!("it answered {}", answer.status())));
        }
        let body = read(answer).await?;
        response.body(body).map_err(|error| Failure::Nonsense(error.into()))
    }
}

fn away(error: reqwest::Error) -> Failure {
    Failure::Away(error.without_url().into())
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Failure::Away(anyhow!("its answer does not end")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
