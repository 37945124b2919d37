//! Files that are generated from the code. `just generate` writes them.

use std::{fs, path::Path};

use server::cli::env_example;

/// Compares with the file in the repository, or writes it when asked to.
fn assert_generated(path: &str, content: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let content = format!("{}\n", content.trim_end());
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&file, &content).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == content, "{path} is out of date; run `just generate`");
}

#[test]
fn env_example_lists_every_setting() {
    assert_generated(".env.example", &env_example());
}

#[test]
fn the_limits_table_is_what_is_enforced() {
    let intro = "# Rate limits\n\nGenerated from `crates/rate-limit/src/policy.rs`.\n\n";
    assert_generated("docs/limits.md", &format!("{intro}{}", rate_limit::markdown()));
}

#[tokio::test]
async fn the_permissions_table_is_what_is_enforced() {
    let intro = "# Permissions\n\nGenerated from the routes: each says who may call it, and `app::authorize` holds everybody to it.\n\
                 What the roles are is in [organisations.md](organisations.md), what keys are in [api-keys.md](api-keys.md).\n\n";
    let table = web::permissions_markdown(&crate::isolation::operations());
    assert_generated("docs/permissions.md", &format!("{intro}{table}"));
}

#[tokio::test]
async fn the_page_of_webhook_events_is_what_is_declared() {
    let app = testing::TestApp::start().await;
    let intro = "# Webhook events\n\n\
                 Generated from what each crate declares (`app::Event`); how they are received: [webhooks](webhooks.md).\n\n";
    let page = webhooks::markdown(app.webhooks.types());
    assert_generated("docs/webhook-events.md", &format!("{intro}{page}"));
}

#[tokio::test]
async fn programs_can_be_told_of_every_event_that_is_declared() {
    let product = crate::personal_data::composed();
    let known: Vec<&str> = product.webhooks.types().iter().map(|it| it.name).collect();
    for declared in product.events() {
        assert!(known.contains(&declared.name), "{} cannot be listened for", declared.name);
    }
}

#[tokio::test]
async fn the_inventory_is_what_tables_declare() {
    let intro = "# Data inventory\n\n\
                 Generated from what each crate declares (`app::PersonalData`): which table keeps what about whom, whether it is \
                 in exports, and what an erasure does with it.\n\n";
    let tables = crate::personal_data::declared();
    assert_generated("docs/data-inventory.md", &format!("{intro}{}", app::inventory(&tables)));
}

#[tokio::test]
async fn the_schema_is_what_migrations_make() {
    let intro = "# Schema\n\n\
                 Generated from a database to which all migrations were applied: drift shows as a failing test. Partitions, indexes that \
                 are not unique, checks and triggers are in [the migrations](../migrations); what of it is whose, and for how long, in the \
                 [data inventory](data-inventory.md).\n\n";
    assert_generated("docs/schema.md", &format!("{intro}{}", crate::schema::markdown().await));
}

#[test]
fn the_table_of_subscription_states_is_what_is_enforced() {
    let intro = "# What a subscription gives in each state\n\n\
                 Generated from `crates/billing/src/state.rs`; see [billing](billing.md).\n\n";
    assert_generated("docs/billing-states.md", &format!("{intro}{}", billing::states_table()));
}

#[test]
fn the_table_of_credits_and_money_is_what_is_sold() {
    let table = billing::conversion_table(billing::Catalogue::embedded().packs(), 10);
    let docs = include_str!("../../../../docs/ledger.md");
    assert!(docs.contains(&table), "docs/ledger.md must contain:\n{table}");
}

#[test]
fn the_table_of_alerts_is_what_is_watched() {
    let cli = server::cli::read(vec!["slipway".into()], &|_| None).unwrap();
    let table = alerts::rules_table(&cli.settings.alerts, cli.settings.usage.usage_drift_percent);
    let docs = include_str!("../../../../docs/alerts.md");
    assert!(docs.contains(&table), "docs/alerts.md must contain:\n{table}");
}

#[test]
fn every_test_that_the_page_of_jobs_names_is_there() {
    let folders = ["jobs/tests", "org-jobs/tests", "projects/tests", "admin/tests", "server/tests"];
    assert_eq!(missing_tests(include_str!("../../../../docs/jobs.md"), &folders), [""; 0]);
}

#[test]
fn every_test_that_the_page_of_projects_names_is_there() {
    let page = include_str!("../../../../docs/projects.md");
    assert_eq!(missing_tests(page, &["projects/tests"]), [""; 0]);
}

/// Tests that a page names and that are not in `folders` of crates.
fn missing_tests<'a>(page: &'a str, folders: &[&str]) -> Vec<&'a str> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources: String = folders.iter().map(|folder| read_all(&root.join(folder))).collect();
    let named =
        page.split('`').filter(|it| it.matches('_').count() > 4 && !it.contains(['…', ' ']));
    named.filter(|name| !sources.contains(&format!("fn {name}("))).collect()
}

#[test]
fn every_test_that_the_ledgers_page_names_is_there() {
    let folders = ["quotas/src", "quotas/tests", "billing/tests", "server/tests"];
    assert_eq!(missing_tests(include_str!("../../../../docs/ledger.md"), &folders), [""; 0]);
}

fn read_all(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries
        .map(|it| if it.is_dir() { read_all(&it) } else { fs::read_to_string(it).unwrap() })
        .collect()
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = include_str!("../../../../README.md");
    let top: Vec<&str> = readme.lines().take(20).collect();
    assert!(top.iter().any(|line| line.trim().starts_with("cargo run")), "{top:?}");
    assert!(top.iter().any(|line| line.trim().starts_with("cargo test")), "{top:?}");
}
