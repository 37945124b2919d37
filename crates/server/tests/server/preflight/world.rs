use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    routing::{get, post},
};
use backups::Drill;
use futures::future::BoxFuture;
use rate_limit::Switch;
use serde_json::{Value, json};
use server::{
    Product, Settings,
    commands::preflight::{self, Options, Report, Trial},
};
use tempfile::TempDir;
use testing::TestApp;
use tokio::{net::TcpListener, sync::oneshot};

use crate::backups::pg_dump;

/// A deployment that has everything, as far as it can be had on one machine.
pub(super) struct World {
    pub(super) app: TestApp,
    pub(super) outside: Outside,
    pub(super) worker: Option<oneshot::Sender<()>>,
    settings: Settings,
    _files: TempDir,
}

/// Servers of others: a resolver, Sentry, Slack, and a proxy that takes headers away.
#[derive(Clone, Default)]
pub(super) struct Outside(Arc<Mutex<Servers>>);

#[derive(Default)]
pub(super) struct Servers {
    pub(super) url: String,
    /// TXT records by name.
    pub(super) texts: HashMap<String, Vec<&'static str>>,
    /// What Sentry and Slack answer.
    pub(super) answer: u16,
    /// What Sentry was sent.
    pub(super) envelopes: Vec<String>,
}

impl Outside {
    async fn start() -> Self {
        let outside = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        outside.set(|it| {
            it.url = format!("http://{}", listener.local_addr().unwrap());
            it.answer = 200;
            it.texts.insert("example.com".into(), vec!["v=spf1 -all", "something else"]);
            it.texts.insert("_dmarc.example.com".into(), vec!["v=DMARC1; p=reject"]);
            it.texts.insert("s1._domainkey.example.com".into(), vec!["v=DKIM1; k=rsa; p=x"]);
        });
        let router = Router::new()
            .route("/resolve", get(resolve))
            .route("/api/7/envelope/", post(take))
            .route("/slack", post(take))
            .fallback(async || "somebody else")
            .with_state(outside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        outside
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Servers)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(super) fn url(&self) -> String {
        self.0.lock().unwrap().url.clone()
    }

    pub(super) fn envelopes(&self) -> Vec<String> {
        self.0.lock().unwrap().envelopes.clone()
    }
}

async fn resolve(State(it): State<Outside>, RawQuery(asked): RawQuery) -> String {
    let asked = asked.unwrap_or_default();
    let mut asked = url::form_urlencoded::parse(asked.as_bytes());
    let (_, name) = asked.find(|(key, _)| key == "name").unwrap();
    let texts = it.0.lock().unwrap().texts.get(name.as_ref()).cloned().unwrap_or_default();
    let record = |text: &&str| json!({ "type": 16, "data": format!("\"{text}\"") });
    let answer: Vec<Value> = texts.iter().map(record).collect();
    json!({ "Status": 0, "Answer": answer }).to_string()
}

async fn take(State(it): State<Outside>, body: String) -> StatusCode {
    let mut servers = it.0.lock().unwrap();
    servers.envelopes.push(body);
    StatusCode::from_u16(servers.answer).unwrap()
}

impl World {
    /// `None`: this machine has no `pg_dump` that fits the server.
    pub(super) fn start() -> BoxFuture<'static, Option<Self>> {
        Box::pin(Self::with_everything())
    }

    async fn with_everything() -> Option<Self> {
        let (outside, files) = (Outside::start().await, tempfile::tempdir().unwrap());
        let url = outside.url();
        let app = TestApp::start_with(|settings| {
            settings.rate_limit.rate_limits = Switch::On;
            settings.email.email_from = "Acme <hello@example.com>".parse().unwrap();
            settings.alerts.alert_slack_url = Some(format!("{url}/slack").into());
            settings.backups.backup_key = Some("2VtGkYz0q1h8mXw5pQb7Rc3dNf6sJ9aL".into());
            settings.backups.backup_dir = files.path().join("backups");
        })
        .await;
        pg_dump(&app).await?;
        let mut settings = app.settings.clone();
        let dsn = url.replace("http://", "http://key@");
        settings.telemetry.sentry_dsn = Some(format!("{dsn}/7").into());
        settings.assets.cdn_url = app.url.parse().ok();
        let worker = Some(app.start_worker().await);
        app.billing.sync_catalogue(None, false).await.unwrap();
        let world = Self { app, outside, worker, settings, _files: files };
        let backups = world.product(&world.settings).backups;
        let backup = backups.take().await.unwrap();
        let now = world.app.clock.now();
        let drill = Drill { started_at: now, finished_at: now, error: None };
        backups.note_drill(&backup, &drill).await.unwrap();
        Some(world)
    }

    fn product(&self, settings: &Settings) -> Product {
        let pool = self.app.settings.db.pool(self.app.database_options());
        Product::compose(settings, pool, self.app.clock.clone()).unwrap()
    }

    /// What preflight finds with other settings.
    pub(super) async fn examine_with(&self, change: impl FnOnce(&mut Settings)) -> Report {
        // So that the limits on traffic hold up none of many examinations.
        self.app.advance(chrono::TimeDelta::minutes(1));
        let mut settings = self.settings.clone();
        change(&mut settings);
        let options = Options {
            json: false,
            write: false,
            send: vec![Trial::Alert, Trial::Error],
            dns: format!("{}/resolve", self.outside.url()).parse().unwrap(),
        };
        let product = self.product(&settings);
        let report = preflight::examine(&settings, &product, &options).await.unwrap();
        product.db.pool().close().await;
        report
    }

    pub(super) async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(self.app.db.pool()).await.unwrap();
    }
}
