use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::Value;
use testing::{Client, TestApp};
use tokio::net::TcpListener;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The product, with everybody who may be told.
pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) operator: Client,
    pub(crate) receiver: Receiver,
}

/// What was posted to a webhook.
pub(crate) struct Posted {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Posted {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Somebody's server: `/slack` and `/webhook`.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) slack: Arc<Mutex<Vec<Posted>>>,
    pub(crate) webhook: Arc<Mutex<Vec<Posted>>>,
    pub(crate) broken: Arc<AtomicBool>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let receiver =
            Self { url, slack: Arc::default(), webhook: Arc::default(), broken: Arc::default() };
        let router = Router::new()
            .route("/slack", post(take_slack))
            .route("/webhook", post(take_webhook))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// What the webhook was told, in order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let posted = self.webhook.lock().unwrap();
        posted.iter().map(|it| it.json()["type"].as_str().unwrap().to_owned()).collect()
    }
}

async fn take_slack(State(to): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    to.slack.lock().unwrap().push(Posted { headers, body });
    StatusCode::OK
}

async fn take_webhook(State(to): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    if to.broken.load(SeqCst) {
        return StatusCode::BAD_GATEWAY;
    }
    to.webhook.lock().unwrap().push(Posted { headers, body });
    StatusCode::NO_CONTENT
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(0).await
    }

    /// One in which so many workers must live.
    pub(crate) async fn start_with(workers: i64) -> Self {
        let receiver = Receiver::start().await;
        let app = TestApp::start_with(|settings| {
            settings.alerts.alert_emails = vec!["founder@example.com".parse().unwrap()];
            settings.alerts.alert_slack_url = Some(format!("{}/slack", receiver.url).into());
            settings.alerts.alert_webhook_url = Some(format!("{}/webhook", receiver.url).into());
            settings.alerts.alert_webhook_secret = Some(SECRET.into());
            settings.alerts.alert_workers = workers;
        })
        .await;
        let operator = app.operator().await;
        // A job's first use is a row that others would wait for.
        app.run_jobs().await;
        Self { app, operator, receiver }
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.app.db.pool()).await.unwrap();
    }

    /// A background job fails for good.
    pub(crate) async fn break_a_rule(&self) {
        self.execute(
            "insert into graphile_worker._private_jobs (task_id, payload, attempts, max_attempts)
             select id, '{}', 1, 1 from graphile_worker._private_tasks where identifier = 'jobs.upkeep'",
        )
        .await;
    }

    /// Somebody decides about it.
    pub(crate) async fn mend_the_rule(&self) {
        self.execute(
            "delete from graphile_worker._private_jobs where attempts = 1 and max_attempts = 1",
        )
        .await;
    }

    pub(crate) async fn queue_evaluation(&self) {
        self.execute("select graphile_worker.add_job('alerts.evaluate', '{\"job\": {}}')").await;
    }

    /// What happens once a minute.
    pub(crate) async fn evaluate(&self) {
        self.queue_evaluation().await;
        self.app.run_jobs().await;
    }

    /// Runs what failed and waits for its next attempt.
    pub(crate) async fn try_again(&self) {
        let due = "update graphile_worker._private_jobs set run_at = now() where attempts = 1";
        self.execute(due).await;
        self.app.run_jobs().await;
    }

    /// The subjects of what was mailed, in order.
    pub(crate) async fn mails(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select subject from emails where recipient = 'founder@example.com' order by id",
        )
        .fetch_all(self.app.db.pool())
        .await
        .unwrap()
    }
}
