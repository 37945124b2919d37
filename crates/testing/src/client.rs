use kernel::{Id, Org, User};
use quotas::Quotas;
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

/// Somebody who calls the API.
#[derive(Clone, Debug)]
pub struct Client {
    /// Their address, if they have an account.
    pub email: String,
    /// Their account.
    pub user: Option<Id<User>>,
    /// Their org.
    pub org: Option<Id<Org>>,
    /// Their access token or API key.
    pub token: Option<String>,
    /// Their refresh token.
    pub refresh_token: Option<String>,
    /// What their authenticator holds, if they have one.
    pub totp_url: Option<String>,
    headers: HeaderMap,
    http: reqwest::Client,
    url: String,
    quotas: Quotas,
}

impl Client {
    pub(crate) fn new(http: reqwest::Client, url: String, quotas: Quotas) -> Self {
        Self {
            email: String::new(),
            user: None,
            org: None,
            token: None,
            refresh_token: None,
            totp_url: None,
            headers: HeaderMap::new(),
            http,
            url,
            quotas,
        }
    }

    /// The same person, calling with another token or an API key.
    #[must_use]
    pub fn with_key(&self, secret: &str) -> Self {
        Self { token: Some(secret.to_owned()), ..self.clone() }
    }

    /// The same person, sending a header with every request.
    #[must_use]
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        let name: HeaderName = name.parse().expect("a header name");
        client.headers.insert(name, HeaderValue::try_from(value).expect("a header value"));
        client
    }

    /// The same person, calling another instance.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// Their account's id.
    #[track_caller]
    pub fn user(&self) -> Id<User> {
        self.user.expect("an account")
    }

    /// Their org's id.
    #[track_caller]
    pub fn org(&self) -> Id<Org> {
        self.org.expect("an org")
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    /// Creates.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Replaces.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// Changes.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// Removes.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        // Calls are booked after their answers: whoever reads or looks sees what was booked.
        self.quotas.settled().await;
        let reply = Reply::read(request.send().await.expect("the product answers")).await;
        self.quotas.settled().await;
        reply
    }

    /// A request of this person to be completed by the test: other content types, streams, broken bodies.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.headers(self.headers.clone());
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, if that is JSON.
    pub body: Value,
    /// Its body.
    pub text: String,
}

impl Reply {
    /// Reads an answer to its end.
    pub async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("read the answer");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, body, text }
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.body
    }

    /// The text of a success that is not JSON, such as a stream.
    #[track_caller]
    pub fn ok_text(self) -> String {
        assert!(self.status.is_success(), "{self:?}");
        self.text
    }

    /// Status and code of a failure.
    #[track_caller]
    pub fn problem(self) -> (u16, String) {
        assert!(!self.status.is_success(), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or_default().to_owned())
    }

    /// One header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
