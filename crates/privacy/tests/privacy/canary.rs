//! A word that somebody left everywhere is nowhere once they are deleted.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::Path,
    sync::Mutex,
};

use app::PersonalData;
use kernel::{Id, Org, User};
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;
use testing::{Client, TestApp};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};
use uuid::Uuid;
use web::Role;

use crate::{
    count_files,
    deletions::{carry_out, deleted},
};

/// In names, addresses, prompts, files and every column that takes somebody's words.
const CANARY: &str = "canary7f3a";

/// Columns with words of ours or Stripe's, never of a person: names of things that there are, states, ids.
const OURS: &[&str] = &[
    "action",
    "actor_kind",
    "billing_interval",
    "category",
    "credited_plan",
    "currency",
    "disabled_reason",
    "from_account",
    "id",
    "issuer",
    "item",
    "kind",
    "locale",
    "model",
    "next_interval",
    "next_plan",
    "operation",
    "outcome",
    "paid_by",
    "period",
    "plan",
    "prefix",
    "provider",
    "purpose",
    "role",
    "scope",
    "source",
    "status",
    "stop_reason",
    "stopped_by",
    "template",
    "tier",
    "time_zone",
    "to_account",
    "transport",
    "type",
    "unit",
    "when_exhausted",
    "scopes",
    "events",
    "turned_off",
    "items",
    "api_version",
    "external_id",
    "customer_id",
    "provider_id",
    "url_scheme",
    "stripe_id",
    "stripe_session_id",
    "stripe_subscription_id",
    "payment_intent_id",
    "charge_id",
    "object_id",
    "schedule_id",
    "price_id",
    "custom_id",
    "key_tag",
    "input_file",
    "sent",
    "checked",
    "findings",
    "target",
    "certificate",
    "step",
];

/// Whatever is logged by this program.
static LOGS: Mutex<Vec<u8>> = Mutex::new(vec![]);

struct Logs;

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGS.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// More of the product than a deployment logs; of libraries less, since this test's own statements are theirs, too.
fn listen_to_logs() {
    let others =
        ["graphile_worker", "h2", "hyper", "lettre", "reqwest", "rustls", "simulators", "sqlx"];
    let wanted = Targets::new()
        .with_default(LevelFilter::DEBUG)
        .with_targets(others.map(|target| (target, LevelFilter::OFF)));
    let log = fmt::layer().with_ansi(false).with_writer(|| Logs);
    tracing_subscriber::registry().with(wanted).with(log).try_init().unwrap();
}

/// Puts a file with the word in it into the caller's org.
async fn upload(client: &Client) {
    let content = format!("what {CANARY} wrote");
    let file = json!({
        "name": format!("{CANARY}.txt"), "content_type": "text/plain", "bytes": content.len(),
    });
    for is_complete in [true, false] {
        let upload = client.post("/v1/uploads", file.clone()).await.ok();
        let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
        let part = client.request(Method::PUT, &format!("{path}/parts/1")).body(content.clone());
        assert!(part.send().await.unwrap().status().is_success());
        if is_complete {
            client.post(&format!("{path}/completion"), json!({})).await.ok();
        }
    }
}

/// Does whatever leaves traces: in an org of one's own, and as a member of another.
async fn live(app: &TestApp, ada: &Client, others: &Client) {
    let word = |what: &str| format!("{what} {CANARY}");
    ada.patch("/v1/me", json!({ "name": word("Ada") })).await.ok();
    ada.patch("/v1/org", json!({ "name": word("Org") })).await;
    ada.post("/v1/projects", json!({ "name": word("Project") })).await.ok();
    ada.post("/v1/api-keys", json!({ "name": word("Key") })).await.ok();
    upload(ada).await;
    let budget = json!({
        "scope": "org", "period": "day", "unit": "requests", "amount": 900,
    });
    ada.post("/v1/budgets", budget).await.ok();
    let hook = json!({
        "url": format!("{}/{CANARY}", app.simulators.sink.url()), "events": ["api_key.created"],
        "description": word("Hook"),
    });
    ada.post("/v1/webhook-endpoints", hook).await.ok();
    ada.post("/v1/api-keys", json!({ "name": word("Told of") })).await.ok();
    let question = json!({
        "email": "client@example.com", "name": word("Client"), "title": word("Poster"),
        "description": word("Look"),
    });
    ada.post("/v1/approvals", question).await.ok();
    let invitation = json!({ "email": "guest@example.com", "role": "viewer" });
    ada.post("/v1/invitations", invitation.clone()).await;
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 10,
        "messages": [{ "role": "user", "content": word("prompt") }],
    });
    ada.post("/v1/chat/completions", chat.clone()).await.ok();
    ada.header("prefer", "respond-async").post("/v1/chat/completions", chat).await;
    ada.put("/v1/me/preferences", json!({ "default_model": CANARY })).await.ok();
    ada.post("/v1/personas", json!({ "name": word("Persona"), "text": word("You") })).await.ok();
    ada.post("/v1/templates", json!({ "name": word("Template"), "text": word("Write") }))
        .await
        .ok();
    let order = json!({ "model": "gpt-4o-mini", "items": [{ "brief": word("brief") }] });
    ada.post("/v1/creations", order).await.ok();
    let begun = ada.post("/v1/conversations", json!({ "title": word("Talk") })).await.ok();
    let said = json!({ "model": "gpt-4o-mini", "content": word("say") });
    let messages = format!("/v1/conversations/{}/messages", begun["id"].as_str().unwrap());
    ada.post(&messages, said).await.ok();
    ada.post("/v1/billing/checkout-sessions", json!({ "item": "pack-10" })).await.ok();
    ada.post("/v1/me/exports", json!(null)).await.ok();
    ada.post("/v1/org/exports", json!(null)).await.ok();
    ask_for_help(app, ada).await;
    app.run_jobs().await;
    app.quotas.settled().await;
    // What others have of them.
    let known = json!({ "email": ada.email, "role": "viewer" });
    others.post("/v1/invitations", known).await.ok();
    sqlx::query("insert into memberships (user_id, org_id, role, created_at) values ($1, $2, 'member', now())")
        .bind(ada.user())
        .bind(others.org())
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

/// In the product, and is answered there.
async fn ask_for_help(app: &TestApp, ada: &Client) {
    let word = |what: &str| format!("{what} {CANARY}");
    ada.post("/v1/client-errors", json!({ "message": "x", "release": "web@2" })).await;
    let ticket = json!({ "subject": word("Help"), "text": word("Me"), "request_id": CANARY });
    let ticket = ada.post("/v1/tickets", ticket).await.ok();
    let path = format!("/admin/v1/tickets/{}/messages", ticket["id"].as_str().unwrap());
    let answer = json!({ "text": word("Dear") });
    app.operator().await.post(&path, answer).await.ok();
    ada.post("/v1/feedback", json!({ "kind": "idea", "comment": word("More") })).await.ok();
    let goal = json!({ "status": "done", "choice": "write" });
    ada.put("/v1/me/onboarding/goal", goal).await.ok();
}

/// Columns of a table that take words, with their types.
async fn columns(app: &TestApp, table: &str) -> Vec<(String, String)> {
    let columns = "select column_name::text, data_type::text from information_schema.columns
                   where table_schema = 'public' and table_name = $1
                     and data_type in ('text', 'jsonb') and is_generated = 'NEVER'";
    sqlx::query_as(columns).bind(table).fetch_all(app.db.pool()).await.unwrap()
}

/// Writes the word into every column of every row of theirs; answers the tables that had rows.
async fn plant(
    app: &TestApp,
    tables: &[PersonalData],
    ada: Id<User>,
    org: Id<Org>,
) -> BTreeSet<&'static str> {
    let mut planted = BTreeSet::new();
    for it in tables {
        for (rule, id) in [(it.person, ada.uuid()), (it.org, org.uuid())] {
            let Some(rule) = rule else { continue };
            for (column, kind) in columns(app, it.table).await {
                // The address leads to the rows, so it has the word from the beginning.
                let address = ["email", "recipient", "address"].contains(&column.as_str());
                if OURS.contains(&column.as_str()) || address {
                    continue;
                }
                let value = match kind.as_str() {
                    "jsonb" => format!("coalesce({column}, '{{}}') || '{{\"x\": \"{CANARY}\"}}'"),
                    _ => format!("coalesce({column}, '') || ' {CANARY}'"),
                };
                let update = format!(
                    "update {0} set {column} = {value} where ({1}) and ({column} is not null)",
                    it.table, rule.rows
                );
                if change(app, &update, id).await > 0 {
                    planted.insert(it.table);
                }
            }
        }
    }
    planted
}

/// As somebody who may do everything would, past the triggers that keep the log as it is.
async fn change(app: &TestApp, statement: &str, id: Uuid) -> u64 {
    let mut tx = app.db.begin().await.unwrap();
    sqlx::raw_sql("alter table audit_events disable trigger append_only")
        .execute(&mut *tx)
        .await
        .unwrap();
    let result = sqlx::query(AssertSqlSafe(statement.to_owned())).bind(id).execute(&mut *tx).await;
    let rows = result.unwrap_or_else(|error| panic!("{statement}: {error}")).rows_affected();
    sqlx::raw_sql("alter table audit_events enable trigger append_only")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    rows
}

/// Every row of the whole database that has the word, in whatever column, as text or as bytes.
async fn sightings(app: &TestApp) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', table_schema, table_name) from information_schema.tables
         where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')
         order by 1",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    let mut found = vec![];
    for table in tables {
        let query = format!(
            "select left(t::text, 1500) from {table} t
             where strpos(lower(t::text), '{CANARY}') > 0 or strpos(t::text, encode('{CANARY}', 'hex')) > 0"
        );
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(app.db.pool()).await.unwrap();
        found.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
    }
    found
}

fn files_with_the_word(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .map(|it| it.unwrap().path())
        .map(|it| {
            if it.is_dir() {
                return files_with_the_word(&it);
            }
            let content = fs::read(&it).unwrap();
            usize::from(content.windows(CANARY.len()).any(|it| it == CANARY.as_bytes()))
        })
        .sum()
}

/// Security case 128.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_deleted_person_nothing_is_left_anywhere() {
    listen_to_logs();
    let app = TestApp::start().await;
    let (mut ada, others) = (app.owner().await, app.owner().await);
    sqlx::query("update entitlements set seats = 100").execute(app.db.pool()).await.unwrap();
    let address = format!("{CANARY}@example.com");
    sqlx::query("update users set email = $1 where id = $2")
        .bind(&address)
        .bind(ada.user())
        .execute(app.db.pool())
        .await
        .unwrap();
    ada.email = address;
    live(&app, &ada, &others).await;
    let bob = app.member(&others, Role::Member).await;
    let before = count_files(&app.settings.storage.storage_dir);
    assert!(before >= 2, "two archives");

    let planted = plant(&app, &app.personal_data, ada.user(), ada.org()).await;
    for table in [
        "api_keys",
        "approvals",
        "assets",
        "audit_events",
        "client_errors",
        "conversation_messages",
        "conversations",
        "creation_steps",
        "creations",
        "emails",
        "feedback",
        "generations",
        "notifications",
        "onboarding_steps",
        "orgs",
        "personas",
        "projects",
        "sessions",
        "ticket_messages",
        "tickets",
        "template_versions",
        "templates",
        "uploads",
        "usage_records",
        "user_preferences",
        "users",
        "webhook_endpoints",
        "webhook_events",
    ] {
        assert!(planted.contains(table), "nothing was planted in {table}: {planted:?}");
    }
    assert!(sightings(&app).await.len() > 30);

    deleted(&app, &ada, "me").await;
    carry_out(&app).await;

    assert_eq!(sightings(&app).await, [""; 0], "it is still there");
    assert_eq!(files_with_the_word(&app.settings.storage.storage_dir), 0);
    assert_eq!(count_files(&app.settings.storage.storage_dir.join("people")), 0);
    assert_eq!(count_files(&app.settings.storage.storage_dir.join("orgs")), 0);
    let logs = String::from_utf8_lossy(&LOGS.lock().unwrap()).into_owned();
    assert!(logs.contains("everything was erased"), "the log is listened to");
    let told: Vec<_> = logs.lines().filter(|line| line.contains(CANARY)).collect();
    assert!(told.is_empty(), "it was logged: {told:#?}");
    // Nobody else lost anything.
    for client in [&others, &bob] {
        let credentials = json!({ "email": client.email, "password": testing::PASSWORD });
        assert_eq!(app.anonymous().post("/v1/sessions", credentials).await.status, 201);
    }
    app.assert_books_balance().await;
}
