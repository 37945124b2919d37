use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy};
use serde_json::Value;
use sha2::Sha256;
use simulators::stripe::{Config, Stripe};
use url::form_urlencoded;

pub(crate) const SECRET_KEY: &str = "sk_test_simulated";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_simulated";

/// A shop that calls the simulator and receives its events.
pub(crate) struct Shop {
    pub(crate) stripe: Stripe,
    pub(crate) inbox: Inbox,
    http: Client,
}

pub(crate) fn config() -> Config {
    Config {
        addr: ([127, 0, 0, 1], 0).into(),
        webhook_url: None,
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        state_file: None,
    }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(config()).await
    }

    pub(crate) async fn open_with(config: Config) -> Self {
        let inbox = Inbox::open().await;
        let config = Config { webhook_url: Some(inbox.url.clone()), ..config };
        let stripe = Stripe::start(config).await.unwrap();
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { stripe, inbox, http }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.stripe.url()))
    }

    pub(crate) fn posting(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.request(Method::POST, path)
            .bearer_auth(SECRET_KEY)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        ok(self.posting(path, form).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        ok(self.request(Method::GET, path).bearer_auth(SECRET_KEY).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        ok(self.request(Method::DELETE, path).bearer_auth(SECRET_KEY).send().await.unwrap()).await
    }

    /// The status and error of a call that is refused.
    pub(crate) async fn refused(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let response = self.posting(path, form).send().await.unwrap();
        let status = response.status().as_u16();
        (status, json(response).await["error"].clone())
    }

    /// A session that sells 100 credits for 19 dollars.
    pub(crate) async fn credits_session(&self) -> Value {
        let form = [
            ("mode", "payment"),
            ("success_url", "http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}"),
            ("cancel_url", "http://127.0.0.1:9/pricing"),
            ("client_reference_id", "org_1"),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][unit_amount]", "1900"),
            ("line_items[0][price_data][product_data][name]", "100 credits"),
            ("line_items[0][quantity]", "1"),
            ("payment_intent_data[metadata][org]", "org_1"),
        ];
        self.post("/v1/checkout/sessions", &form).await
    }

    /// A recurring price of its own product.
    pub(crate) async fn price(&self, amount: &str, interval: &str) -> String {
        let form = [
            ("currency", "usd"),
            ("unit_amount", amount),
            ("recurring[interval]", interval),
            ("product_data[name]", "Pro"),
        ];
        id(&self.post("/v1/prices", &form).await)
    }

    /// A paid subscription to `price`.
    pub(crate) async fn subscription(&self, price: &str) -> Value {
        let form = [
            ("mode", "subscription"),
            ("success_url", "http://127.0.0.1:9/thanks"),
            ("line_items[0][price]", price),
            ("subscription_data[metadata][org]", "org_1"),
        ];
        let session = self.post("/v1/checkout/sessions", &form).await;
        let paid = self.stripe.pay(&id(&session), simulators::stripe::Card::Accepted).unwrap();
        let subscription = paid["subscription"].as_str().unwrap();
        self.get(&format!("/v1/subscriptions/{subscription}")).await
    }

    /// Types of the events emitted so far.
    pub(crate) fn event_types(&self) -> Vec<String> {
        self.stripe.events().iter().map(|event| text(event, "type")).collect()
    }

    /// How many objects a list shows.
    pub(crate) async fn count(&self, path: &str) -> usize {
        self.get(path).await["data"].as_array().unwrap().len()
    }
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn ok(response: Response) -> Value {
    let status = response.status();
    let body = json(response).await;
    assert_eq!(status, StatusCode::OK, "{body:#}");
    body
}

pub(crate) fn id(object: &Value) -> String {
    text(object, "id")
}

pub(crate) fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("{field} in {object:#}")).to_owned()
}

/// What a webhook received, in the order of arrival.
pub(crate) struct Inbox {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    refusals: Arc<AtomicU32>,
}

#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks the signature as the official libraries do.
    pub(crate) fn verifies(&self, secret: &str) -> bool {
        let Some((time, signature)) = self.signature.split_once(",v1=") else { return false };
        let time = time.trim_start_matches("t=");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{}", self.body).as_bytes());
        mac.verify_slice(&hex::decode(signature).unwrap()).is_ok()
    }
}

impl Inbox {
    async fn open() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let refusals = Arc::new(AtomicU32::new(0));
        let (kept, refusing) = (Arc::clone(&received), Arc::clone(&refusals));
        let receive = async move |headers: HeaderMap, body: String| {
            let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
            kept.lock().unwrap().push(Received { signature, body });
            let one_less = |left: u32| left.checked_sub(1);
            match refusing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
                Ok(_) => StatusCode::INTERNAL_SERVER_ERROR,
                Err(_) => StatusCode::OK,
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
        let router = Router::new().route("/webhooks/stripe", post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received, refusals }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Answers the next deliveries with 500.
    pub(crate) fn refuse(&self, times: u32) {
        self.refusals.store(times, Ordering::SeqCst);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn types(&self) -> Vec<String> {
        self.received().iter().map(|received| text(&received.event(), "type")).collect()
    }
}
