use std::collections::BTreeSet;

use serde_json::Value;
use testing::TestApp;
use web::{Audience, Operation};

use crate::isolation::objects::{SHARED, make};

/// Everything that anybody may call without signing in. A line that is new here must be meant.
const PUBLIC: &[&str] = &[
    "GET /.well-known/jwks.json",
    "GET /api/health",
    "GET /billing/cancelled",
    "GET /billing/return",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /v1/announcements",
    "GET /v1/approval-links/{token}",
    "GET /v1/asset-links/{id}",
    "GET /v1/email-change-reversals/{token}",
    "GET /v1/email-changes/{token}",
    "GET /v1/email-unsubscribes/{token}",
    "GET /v1/email-verifications/{token}",
    "GET /v1/identity-providers",
    "GET /v1/invitation-links/{token}",
    "GET /v1/magic-links/{code}",
    "GET /v1/packs",
    "GET /v1/password-resets/{token}",
    "GET /v1/plans",
    "GET /v1/project-links/{token}",
    "GET /v1/policies",
    "GET /v1/policies/{id}",
    "GET /v1/social-logins/callback",
    "POST /admin/v1/enrolment-proofs",
    "POST /admin/v1/enrolments",
    "POST /admin/v1/sessions",
    "POST /v1/client-errors",
    "POST /v1/approval-links/{token}",
    "POST /v1/email-change-reversals/{token}",
    "POST /v1/email-changes/{token}",
    "POST /v1/email-unsubscribes/{token}",
    "POST /v1/email-verifications",
    "POST /v1/email-verifications/{token}",
    "POST /v1/invitation-links/{token}",
    "POST /v1/magic-links",
    "POST /v1/magic-links/{code}",
    "POST /v1/passkey-ceremonies",
    "POST /v1/password-resets",
    "POST /v1/password-resets/{token}",
    "POST /v1/sessions",
    "POST /v1/sessions/magic-link",
    "POST /v1/sessions/passkey",
    "POST /v1/sessions/second-factor",
    "POST /v1/social-logins",
    "POST /v1/social-logins/callback",
    "POST /v1/tokens",
    "POST /v1/users",
    "POST /v1/waitlist-entries",
    "POST /v1/webhooks/resend",
    "POST /v1/webhooks/sendgrid",
    "POST /v1/webhooks/stripe",
    "PUT /v1/upload-links/{id}/parts/{number}",
];

pub(crate) fn describe() -> (Value, Vec<Operation>) {
    let cli = server::cli::read(vec!["slipway".into()], &|_| None).expect("valid defaults");
    let files = tempfile::tempdir().unwrap();
    let mut settings = cli.settings;
    files.path().clone_into(&mut settings.storage.storage_dir);
    let (document, operations) = server::commands::openapi::describe(settings).unwrap();
    (serde_json::to_value(document).unwrap(), operations)
}

#[tokio::test]
async fn only_these_operations_are_public() {
    let (_, operations) = describe();
    let public = operations.iter().filter(|it| it.access.audience == Audience::Anyone);
    let public: BTreeSet<String> = public.map(|it| format!("{} {}", it.method, it.path)).collect();

    let expected: BTreeSet<String> = PUBLIC.iter().map(ToString::to_string).collect();
    assert_eq!(public, expected);
}

/// The path of an operation, with something of the right form for each parameter.
fn filled(path: &str) -> String {
    let id = uuid::Uuid::now_v7().to_string();
    let examples = [
        ("{id}", id.as_str()),
        ("{link}", id.as_str()),
        ("{version}", "1"),
        ("{model}", "gpt-4o-mini"),
        ("{name}", "auto"),
        ("{token}", "guess"),
        ("{code}", "guess"),
        ("{month}", "2026-01"),
        ("{number}", "1"),
        ("{purpose}", "training"),
        ("{step}", "plan"),
        ("{key}", "new-editor"),
        ("{step}", "goal"),
    ];
    let path = examples.iter().fold(path.to_owned(), |path, (name, it)| path.replace(name, it));
    assert!(!path.contains('{'), "the test does not know how to fill in {path}");
    path
}

#[tokio::test]
async fn every_other_operation_is_closed_to_strangers() {
    let app = TestApp::start().await;
    let (_, operations) = describe();
    let closed = operations.iter().filter(|it| it.access.audience != Audience::Anyone);

    for operation in closed {
        let path = filled(&operation.path);
        let method = reqwest::Method::from_bytes(operation.method.as_str().as_bytes()).unwrap();
        for token in [None, Some("slip_wrong"), Some("a.b.c")] {
            let client = match token {
                Some(token) => app.anonymous().with_key(token),
                None => app.anonymous(),
            };
            let reply = client.request(method.clone(), &path).send().await.unwrap();
            assert_eq!(reply.status(), 401, "{method} {path} with {token:?}");
        }
    }
}

/// A mail scanner, a prefetching browser or a crawler opens whatever it finds.
#[tokio::test]
async fn reading_changes_no_row() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    app.run_jobs().await;
    let (_, operations) = describe();
    let before = rows(&app).await;

    for operation in operations.iter().filter(|it| it.method == "GET") {
        let path = filled(&operation.path);
        if path.ends_with("/events") {
            continue; // A stream that does not end.
        }
        for client in [&owner, &operator, &app.anonymous()] {
            client.get(&path).await;
            client.request(reqwest::Method::HEAD, &path).send().await.unwrap();
        }
    }

    assert_eq!(rows(&app).await, before);
}

/// The same of what there is. That a link to a project was followed is counted, which is all that
/// reading ever leaves behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_what_there_is_changes_no_row_either() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    sqlx::query("update entitlements set seats = 100").execute(app.db.pool()).await.unwrap();
    let (_, operations) = describe();
    let mut paths = Vec::new();
    for operation in operations.iter().filter(|it| it.method == "GET") {
        let (path, audience) = (&operation.path, operation.access.audience);
        let of_theirs = matches!(audience, Audience::Callers(_)) && !path.ends_with("/events");
        if of_theirs && path.contains('{') && !SHARED.contains(&path.as_str()) {
            let id = make(&app, &owner, path).await;
            paths.push(filled(&path.replacen("{id}", &id, 1)));
        } else if of_theirs {
            paths.push(filled(path));
        }
    }
    app.run_jobs().await;
    let before = rows(&app).await;

    let mut shown = Vec::new();
    for path in &paths {
        let reply = owner.get(path).await;
        assert!(reply.status.as_u16() < 500, "{path}: {reply:?}");
        shown.extend(reply.status.is_success().then_some(path));
        owner.request(reqwest::Method::HEAD, path).send().await.unwrap();
    }

    assert_eq!(rows(&app).await, before);
    assert!(shown.len() > 40, "{} of {}: {shown:?}", shown.len(), paths.len());
}

/// Every table's content, as a hash.
async fn rows(app: &TestApp) -> Vec<(String, Option<String>)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
         join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
         where c.relkind in ('r', 'p') and not c.relispartition order by 1",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let content =
            format!("select md5(string_agg(t::text, ',' order by t::text)) from {table} t");
        let content: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(content))
            .fetch_one(app.db.pool())
            .await
            .unwrap();
        rows.push((table, content));
    }
    rows
}

#[tokio::test]
async fn the_document_describes_every_operation_and_nothing_else() {
    let app = TestApp::start().await;
    let (_, operations) = describe();

    let document = app.anonymous().get("/openapi.json").await.ok();

    let described: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods =
                item.as_object().unwrap().keys().filter(|key| key.as_str() != "parameters");
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let routed: BTreeSet<String> =
        operations.iter().map(|it| format!("{} {}", it.method, it.path)).collect();
    assert_eq!(described, routed);
}

#[tokio::test]
async fn the_document_is_whole() {
    let (document, _) = describe();

    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(ids.insert(id.to_owned()), "{method} {path}: operationId {id:?} is not unique");
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["tags"].is_array(), "{method} {path} has no tag");
            assert!(
                operation["x-rate-limit"].is_string(),
                "{method} {path} has no rate limit class"
            );
            assert!(operation["responses"]["default"].is_object(), "{method} {path} never fails");
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not described");
    }
}

#[tokio::test]
async fn the_documentation_page_needs_nobody_elses_servers() {
    let app = TestApp::start().await;

    let page = app.anonymous().get("/docs/").await.ok_text();

    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
}
