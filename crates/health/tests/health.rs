//! What load balancers and monitors may rely on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use app::{Check, HttpSettings};
use axum::{Router, body::Body, extract::Request};
use chrono::{DateTime, TimeDelta};
use health::Health;
use http_body_util::BodyExt;
use kernel::Clock;
use serde_json::Value;
use tower::ServiceExt;

struct Instance {
    router: Router,
    health: Health,
    clock: Clock,
}

impl Instance {
    fn with(checks: Vec<Check>) -> Self {
        let clock = Clock::frozen_at(DateTime::UNIX_EPOCH);
        let health = Health::new(checks, clock.clone(), Duration::from_mins(1));
        let app = app::assemble([health::module(health.clone())]);
        let router = app.into_router(&HttpSettings::default(), |router| router);
        Self { router, health, clock }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/health+json");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

fn failing() -> anyhow::Result<()> {
    anyhow::bail!("no connection to postgres://user:secret@host")
}

#[tokio::test]
async fn a_failing_critical_check_stops_traffic_but_not_life() {
    let instance = Instance::with(vec![
        Check::critical("database", async || failing()),
        Check::degrading("mail", async || Ok(())),
    ]);
    assert_eq!(instance.get("/health/live").await.0, 200);
    assert_eq!(instance.get("/health/ready").await.0, 503);
    let (status, body) = instance.get("/health").await;
    assert_eq!((status, &body["status"]), (503, &"fail".into()));
    assert_eq!(body["checks"]["database"][0]["status"], "fail");
    assert_eq!(body["checks"]["mail"][0]["status"], "pass");
}

#[tokio::test]
async fn a_failing_extra_is_told_but_stops_nothing() {
    let instance = Instance::with(vec![
        Check::critical("database", async || Ok(())),
        Check::degrading("mail", async || failing()),
    ]);
    assert_eq!(instance.get("/health/ready").await.0, 200);
    let (status, body) = instance.get("/health").await;
    assert_eq!((status, &body["status"]), (200, &"warn".into()));
    assert_eq!(body["checks"]["mail"][0]["status"], "warn");
    assert!(body["checks"]["mail"][0]["observedValue"].is_u64());
}

#[tokio::test]
async fn the_reason_of_a_failure_is_not_for_strangers() {
    let instance = Instance::with(vec![Check::critical("database", async || failing())]);
    for path in ["/health", "/health/ready"] {
        let (_, body) = instance.get(path).await;
        assert_eq!(body["checks"]["database"][0]["output"], "failed");
        assert!(!body.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_draining_instance_wants_no_traffic_at_once_and_still_lives() {
    let instance = Instance::with(vec![Check::critical("database", async || Ok(()))]);
    assert_eq!(instance.get("/health/ready").await.0, 200);
    instance.health.start_draining();
    assert_eq!(instance.get("/health/ready").await.0, 503);
    assert_eq!(instance.get("/health/live").await.0, 200);
    assert_eq!(instance.get("/health").await.0, 200);
}

#[tokio::test]
async fn recovery_is_noticed() {
    let works = Arc::new(AtomicBool::new(false));
    let probed = works.clone();
    let check = Check::critical("database", move || {
        let works = probed.load(SeqCst);
        async move { if works { Ok(()) } else { failing() } }
    });
    let instance = Instance::with(vec![check]);
    assert_eq!(instance.get("/health/ready").await.0, 503);
    works.store(true, SeqCst);
    instance.clock.advance(TimeDelta::seconds(2));
    assert_eq!(instance.get("/health/ready").await.0, 200);
}

#[tokio::test]
async fn life_and_readiness_look_at_no_more_than_they_need() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let check = Check::degrading("mail", move || {
        counted.fetch_add(1, SeqCst);
        async { Ok(()) }
    });
    let instance = Instance::with(vec![check]);
    instance.get("/health/live").await;
    instance.get("/health/ready").await;
    assert_eq!(runs.load(SeqCst), 0);
    instance.get("/health").await;
    assert_eq!(runs.load(SeqCst), 1);
}

#[tokio::test]
async fn both_addresses_tell_the_same() {
    let instance = Instance::with(vec![Check::critical("database", async || Ok(()))]);
    assert_eq!(instance.get("/health").await, instance.get("/api/health").await);
}
