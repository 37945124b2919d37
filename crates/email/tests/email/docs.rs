//! Keeps docs/mail.md true.

use std::{fs, path::Path};

const DOCS: &str = include_str!("../../../../docs/mail.md");

fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        if path.is_dir() { sources(&path) } else { fs::read_to_string(&path).unwrap_or_default() }
    };
    entries.map(read).collect()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["email/src", "email/tests/email", "approvals/tests", "news/tests"];
    let sources: String = folders.iter().map(|folder| sources(&crates.join(folder))).collect();
    let proofs = DOCS.split("## What proves it").nth(1).unwrap();
    let named: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> =
        named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

#[test]
fn every_mail_status_and_category_is_on_the_page() {
    let mails = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mails"));
    let kinds = mails.split("const NAME: &'static str = \"").skip(1);
    let kinds: Vec<&str> = kinds.filter_map(|rest| rest.split('"').next()).collect();
    assert!(kinds.len() >= 20, "{kinds:?}");
    let statuses = ["queued", "sent", "delivered", "bounced", "complained", "suppressed", "dead"];
    let categories = ["security", "account", "usage", "renders", "digest", "nudges", "news"];
    for name in kinds.into_iter().chain(statuses).chain(categories) {
        assert!(DOCS.contains(&format!("`{name}`")), "{name} is not in docs/mail.md");
    }
}
