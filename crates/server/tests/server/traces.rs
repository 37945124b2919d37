//! What a collector of traces is told by the real program.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;
use serde_json::json;
use testing::TestApp;
use tokio::net::TcpListener;

use crate::processes::{Process, eventually};

/// A collector: the spans it was sent, and what each delivery said of whose they are.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<(Vec<Span>, String)>>);

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, url)
    }

    fn spans(&self) -> Vec<Span> {
        self.0.lock().unwrap().0.clone()
    }

    fn named(&self, name: &str) -> Option<Span> {
        self.spans().into_iter().find(|span| span.name == name)
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) {
    let sent = ExportTraceServiceRequest::decode(body).unwrap();
    let mut taken = collector.0.lock().unwrap();
    write!(taken.1, "{:?} {headers:?}", sent.resource_spans[0].resource).unwrap();
    for resource in sent.resource_spans {
        taken.0.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn is_statement(span: &Span) -> bool {
    attribute(span, "db.system.name").as_deref() == Some("postgresql")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_its_statements_and_the_call_of_a_provider_are_one_trace() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (collector, url) = Collector::start().await;
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20of-the-collector".to_owned()),
        // How often the library sends what it has, in milliseconds.
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ];
    let process = Process::with(&app, directory.path(), &settings).await;
    let client = owner.at(&process.url);
    client.post("/v1/projects", json!({ "name": "canary-name" })).await.ok();
    let prompt = json!([{ "role": "user", "content": "canary-prompt" }]);
    let chat = json!({ "model": "gpt-4o-mini", "max_tokens": 10, "messages": prompt });
    client.post("/v1/chat/completions", chat).await.ok();
    // A link whose end is a secret.
    client.get("/v1/email-verifications/canary-token").await;

    let (made, asked) = ("POST /v1/projects", "POST /v1/chat/completions");
    let arrived = || [made, asked].iter().all(|name| collector.named(name).is_some());
    eventually("the traces arrive", async || arrived()).await;

    let spans = collector.spans();
    let inside = |parent: &Span, wanted: &dyn Fn(&Span) -> bool| {
        let mut same = spans.iter().filter(|it| it.trace_id == parent.trace_id);
        same.any(|it| it.parent_span_id == parent.span_id && wanted(it))
    };
    let made = collector.named(made).unwrap();
    assert_eq!(attribute(&made, "http.response.status_code").as_deref(), Some("201"));
    assert!(inside(&made, &|it| is_statement(it) && it.name.starts_with("insert into projects")));
    let asked = collector.named(asked).unwrap();
    assert!(inside(&asked, &|it| {
        it.name == "ai_call" && attribute(it, "model").as_deref() == Some("gpt-4o-mini")
    }));

    let taken = collector.0.lock().unwrap();
    let all = format!("{taken:?}");
    for secret in ["canary", owner.token.as_deref().unwrap(), &owner.email] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    for said in ["Bearer of-the-collector", "\"slipway\"", "development"] {
        assert!(taken.1.contains(said), "{said} is missing in {}", taken.1);
    }
}
