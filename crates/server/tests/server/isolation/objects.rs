//! What belongs to another org does not exist: it is neither told from nothing nor touched.

use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use web::{Audience, Operation, Role};

use super::{fill_in, operations};

/// Addresses whose parameter names something that all orgs share, or that takes a provider or Stripe to
/// be made, or a day, or a job: `ai`, `auth`, `billing`, `privacy`, `projects` and `support` have tests of their own for those.
pub(crate) const SHARED: &[&str] = &[
    "/v1/batches/{id}",
    "/v1/batches/{id}/cancel",
    "/v1/billing/invoices/{id}",
    "/v1/exports/{id}",
    "/v1/exports/{id}/archive",
    "/v1/files/{id}",
    "/v1/files/{id}/content",
    "/v1/experiments/{key}/conversions",
    "/v1/experiments/{key}/exposures",
    "/v1/me/consents/{purpose}",
    "/v1/me/identities/{id}",
    "/v1/me/notifications/{number}",
    "/v1/me/onboarding/{step}",
    "/v1/me/passkeys/{id}",
    "/v1/models/{model}",
    "/v1/project-exports/{id}/archive",
    "/v1/streams/{id}",
];

/// Makes what an address names, in the org of `owner`; answers its id. A new kind of object needs a
/// line here.
pub(crate) async fn make(app: &TestApp, owner: &Client, path: &str) -> String {
    let collection = path.split("/{").next().unwrap();
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    // What nothing else is called.
    let word: String =
        uuid::Uuid::now_v7().as_bytes().iter().map(|it| char::from(b'a' + it % 26)).collect();
    match collection {
        "/v1/projects" => make_named(owner, collection, &word).await,
        "/v1/templates" | "/v1/personas" => {
            id(&owner.post(collection, json!({ "name": word, "text": "Be brief." })).await.ok())
        }
        "/v1/conversations" => id(&owner.post(collection, json!({ "title": word })).await.ok()),
        "/v1/creations" => {
            let order = json!({ "model": "gpt-4o-mini", "items": [{ "brief": "A slogan" }] });
            let ordered = owner.post(collection, order).await.ok();
            ordered["creations"][0].as_str().unwrap().to_owned()
        }
        "/v1/jobs" => {
            let project = make_named(owner, "/v1/projects", &word).await;
            let drafts = json!({ "model": "gpt-4o-mini", "briefs": ["A slogan"] });
            id(&owner.post(&format!("/v1/projects/{project}/drafts"), drafts).await.ok())
        }
        "/v1/uploads" => make_upload(owner).await,
        "/v1/assets" => {
            let upload = make_upload(owner).await;
            let part = format!("/v1/uploads/{upload}/parts/1");
            let sent = owner.request(Method::PUT, &part).body("hello").send().await.unwrap();
            assert!(sent.status().is_success(), "{sent:?}");
            id(&owner.post(&format!("/v1/uploads/{upload}/completion"), json!({})).await.ok())
        }
        "/v1/api-keys" => id(&owner.post(collection, json!({ "name": "ours" })).await.ok()),
        "/v1/budgets" => {
            let budget = json!({
                "scope": "org", "period": "day", "unit": "requests", "amount": 9, "operation": word,
            });
            id(&owner.post(collection, budget).await.ok())
        }
        "/v1/billing/checkout-sessions" => {
            id(&owner.post(collection, json!({ "item": "pack-10" })).await.ok())
        }
        "/v1/generations" => {
            let later = owner.header("prefer", "respond-async");
            let chat = json!({
                "model": "gpt-4o-mini", "max_tokens": 10,
                "messages": [{ "role": "user", "content": "hello" }],
            });
            let reply = later.post("/v1/chat/completions", chat).await;
            reply.header("location").unwrap().rsplit('/').next().unwrap().to_owned()
        }
        "/v1/members" => app.member(owner, Role::Member).await.user().to_string(),
        "/v1/invitations" => {
            let guest = format!("{}@example.com", uuid::Uuid::now_v7().simple());
            let invitation = json!({ "email": guest, "role": "viewer" });
            id(&owner.post(collection, invitation).await.ok())
        }
        "/v1/approvals" => {
            let question = json!({ "email": "client@example.com", "title": word });
            id(&owner.post(collection, question).await.ok())
        }
        "/v1/tickets" => {
            let ticket = json!({ "subject": word, "text": word });
            id(&owner.post(collection, ticket).await.ok())
        }
        "/v1/sessions" => {
            let list = owner.get(collection).await.ok();
            let sessions = list["items"].as_array().or(list["data"].as_array()).unwrap();
            id(&sessions[0])
        }
        "/v1/webhook-endpoints" => {
            let url = json!({ "url": app.simulators.sink.url() });
            id(&owner.post(collection, url).await.ok())
        }
        _ => panic!("the test does not know how to make what {path} names, in {:?}", app.url),
    }
}

async fn make_upload(owner: &Client) -> String {
    let file = json!({ "name": "a.txt", "content_type": "text/plain", "bytes": 5 });
    owner.post("/v1/uploads", file).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn make_named(owner: &Client, collection: &str, name: &str) -> String {
    let made = owner.post(collection, json!({ "name": name })).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// Everything that the database has of an org, as one text a table.
async fn rows_of(app: &TestApp, org: kernel::Id<kernel::Org>) -> Vec<(String, String)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
         join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
         where c.relkind in ('r', 'p') and not c.relispartition order by 1",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let query = format!(
            "select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from {table} t where org_id = $1"
        );
        let text = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(query));
        rows.push((table, text.bind(org).fetch_one(app.db.pool()).await.unwrap()));
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_of_another_org_is_not_told_from_nothing_and_stays_as_it_is() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let viewer = app.member(&theirs, Role::Viewer).await;
    sqlx::query("update entitlements set seats = 100").execute(app.db.pool()).await.unwrap();
    let with_objects = operations().into_iter().filter(|operation| {
        matches!(operation.access.audience, Audience::Callers(_))
            && operation.path.contains('{')
            && !SHARED.contains(&operation.path.as_str())
    });
    for operation in with_objects {
        let path = &operation.path;
        let id = make(&app, &ours, path).await;
        let nothing = uuid::Uuid::now_v7().to_string();
        // Bodies that are whole, so that the object is looked for, and one that never is.
        for body in bodies(path).into_iter().chain([json!([])]) {
            let before = rows_of(&app, ours.org()).await;
            for stranger in [&theirs, &viewer] {
                let call = async |id: &str| {
                    let method = operation.method.clone();
                    let has_body = ![Method::GET, Method::DELETE].contains(&method);
                    let mut request = stranger.request(method, &fill_in(path, id));
                    if has_body {
                        request = request.json(&body);
                    }
                    testing::Reply::read(request.send().await.unwrap()).await
                };
                let (found, expected) = (call(&id).await, call(&nothing).await);
                let what = format!("{} {path} with {body}", operation.method);
                assert!(found.status.is_client_error(), "{what}: {found:?}");
                assert_eq!(found.clone().problem(), expected.clone().problem(), "{what}");
                let detail = |reply: &testing::Reply| reply.body["detail"].clone();
                assert_eq!(detail(&found), detail(&expected), "{what}");
                if stranger.user() == theirs.user() && body != json!([]) {
                    assert_eq!(found.status, 404, "{what}: {found:?}");
                }
            }
            assert_eq!(rows_of(&app, ours.org()).await, before, "{} {path}", operation.method);
        }
    }
}

/// What the operations of an address take.
fn bodies(path: &str) -> Vec<Value> {
    match path {
        "/v1/budgets/{id}" => vec![json!({ "amount": 5 })],
        "/v1/budgets/{id}/raise" => vec![json!({ "by": 1, "until": "2100-01-01T00:00:00Z" })],
        "/v1/projects/{id}/drafts" => vec![json!({ "model": "gpt-4o-mini", "briefs": ["a"] })],
        "/v1/uploads/{id}/links" => vec![json!({ "parts": [1] })],
        "/v1/templates/{id}" | "/v1/personas/{id}" => vec![json!({ "name": "a", "text": "a" })],
        "/v1/conversations/{id}/messages" => {
            vec![json!({ "model": "gpt-4o-mini", "content": "a" })]
        }
        "/v1/creations/{id}/rating" => vec![json!({ "stars": 1 })],
        "/v1/projects/{id}" => vec![json!({ "name": "Mine" })],
        "/v1/members/{id}" => vec![json!({ "role": "viewer" })],
        "/v1/tickets/{id}" => vec![json!({ "status": "closed" })],
        "/v1/tickets/{id}/messages" => vec![json!({ "text": "Mine" })],
        _ => vec![json!({})],
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_refused_everywhere_and_never_an_error_of_ours() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let long = "9".repeat(10_000);
    let odd =
        ["..%2f..%2fetc", "%2e%2e%2f", "%00", "x", "{}", "%ff", "1;drop", "%F0%9F%92%A9", &long];
    let mut wrong = Vec::new();
    for operation in operations().iter().filter(|it| it.path.contains('{')) {
        let path = &operation.path;
        // A page behind a link in a mail does not tell whether the link works.
        let is_page = operation.method == Method::GET
            && ["{token}", "{code}"].iter().any(|it| path.ends_with(it));
        // Operators call a route what they like, so that each name is one without rules.
        let has_answer = is_page || path.starts_with("/admin/v1/ai-routes/{name}");
        let caller = match operation.access.audience {
            Audience::Operators => &operator,
            _ => &owner,
        };
        for id in odd {
            let method = operation.method.clone();
            let request = caller.request(method, &fill_in(path, id)).json(&json!({}));
            let status = request.send().await.unwrap().status();
            let as_expected = status.is_client_error() || has_answer && status.is_success();
            if !as_expected {
                wrong.push(format!("{} {path} with {id:.20}: {status}", operation.method));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn lists_filters_and_cursors_give_ones_own_rows_only() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    for name in ["a", "b"] {
        ours.post("/v1/projects", json!({ "name": name })).await.ok();
        theirs.post("/v1/projects", json!({ "name": format!("their {name}") })).await.ok();
    }
    let page = ours.get("/v1/projects?limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();

    // A cursor is a place, not a right.
    let seen = theirs.get(&format!("/v1/projects?limit=10&cursor={cursor}")).await.ok();
    assert!(!seen.to_string().contains("\"name\":\"b\""), "{seen}");
    for forged in ["x", "AAAA", "..", "%00", &"A".repeat(5000)] {
        let reply = theirs.get(&format!("/v1/projects?cursor={forged}")).await;
        assert_eq!(reply.problem().0, 400, "{forged:.10}");
    }
    let filter = format!("?org_id={}", ours.org());
    assert_eq!(theirs.get(&format!("/v1/projects{filter}")).await.problem().0, 422);
    assert_eq!(theirs.get(&format!("/v1/audit-log{filter}")).await.ok()["items"], json!([]));
    ours.post("/v1/api-keys", json!({ "name": "ours" })).await.ok();
    let found = theirs.get(&format!("/v1/audit-log?actor_id={}", ours.user())).await.ok();
    assert_eq!(found["items"], json!([]));
}

/// Lists, reports, exports and totals alike: whatever is read without naming an object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_read_shows_anything_of_another_org() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    sqlx::query("update entitlements set seats = 100").execute(app.db.pool()).await.unwrap();
    let mut secrets = vec![ours.org().to_string(), ours.user().to_string(), ours.email.clone()];
    let operations: Vec<_> = operations()
        .into_iter()
        .filter(|it| matches!(it.access.audience, Audience::Callers(_)))
        .collect();
    let (one, reads): (Vec<_>, Vec<_>) =
        operations.into_iter().partition(|it| it.path.contains('{'));
    for path in one.iter().map(|it| it.path.as_str()).filter(|path| !SHARED.contains(path)) {
        secrets.push(make(&app, &ours, path).await);
    }
    app.run_jobs().await;

    let page = ours.get("/v1/audit-log?limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let (mut read, org, user) = (0, ours.org(), ours.user());
    for Operation { path, .. } in reads.iter().filter(|it| it.method == Method::GET) {
        if path.ends_with("/events") {
            continue; // A stream that does not end.
        }
        for query in [
            String::new(),
            "?limit=100".into(),
            format!("?cursor={cursor}"),
            format!("?org_id={org}"),
            format!("?actor_id={user}"),
        ] {
            let reply = theirs.get(&format!("{path}{query}")).await;
            assert!(reply.status.as_u16() < 500, "{path}{query}: {reply:?}");
            read += usize::from(reply.status.is_success());
            let shown = secrets.iter().find(|it| reply.text.contains(it.as_str()));
            assert_eq!(shown, None, "{path}{query}: {}", reply.text);
        }
    }
    assert!(read > 60, "{read} answers");
}
