use anyhow::{Context, bail, ensure};
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::Value;

/// A plain HTTP client: what the tour does, curl can do.
pub(super) struct Http {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Http {
    pub(super) fn new(base: &str) -> anyhow::Result<Self> {
        let client = Client::builder().redirect(Policy::none()).build()?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), token: None })
    }

    /// The same server, called with a token.
    pub(super) fn with_token(&self, token: &str) -> Self {
        let (client, base) = (self.client.clone(), self.base.clone());
        Self { client, base, token: Some(token.to_owned()) }
    }

    pub(super) async fn answers(&self) -> bool {
        self.request(Method::GET, "/health/live").send().await.is_ok()
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Self::json(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        Self::json(self.request(Method::POST, path).json(&body)).await
    }

    /// A page for people, as text.
    pub(super) async fn page(&self, url: &str) -> anyhow::Result<String> {
        let response = self.client.get(url).send().await?;
        ensure!(response.status().is_success(), "{url} answered {}", response.status());
        Ok(response.text().await?)
    }

    /// Submits a form, as the button of a page does; a redirect is a success.
    pub(super) async fn press(&self, url: &str, button: &str) -> anyhow::Result<()> {
        let form =
            self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        let status = form.body(button.to_owned()).send().await?.status();
        ensure!(status.is_success() || status.is_redirection(), "{url} answered {status}");
        Ok(())
    }

    /// A streamed answer, whole.
    pub(super) async fn stream(&self, path: &str, body: Value) -> anyhow::Result<String> {
        let response = self.request(Method::POST, path).json(&body).send().await?;
        ensure!(response.status().is_success(), "{path} answered {}", response.status());
        Ok(response.text().await?)
    }

    /// The problem that a request is answered with.
    pub(super) async fn refused(&self, path: &str, body: Value) -> anyhow::Result<(u16, Value)> {
        let response = self.request(Method::POST, path).json(&body).send().await?;
        let status = response.status();
        ensure!(!status.is_success(), "{path} answered {status} and should have refused");
        Ok((status.as_u16(), response.json().await?))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn json(request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await.context("no answer")?;
        let (status, url) = (response.status(), response.url().clone());
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{url} answered {status}: {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}
