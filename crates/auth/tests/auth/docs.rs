use std::{fs, path::Path};

/// Every source of the workspace's tests, in one text.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("read the sources") {
        let path = entry.expect("read the sources").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("read a source"));
        }
    }
}

/// Pages with a table of rules and tests, and how many tests it names at least.
const TABLES: &[(&str, &str, usize)] = &[
    ("identity.md", "## What must hold", 80),
    ("organisations.md", "## What is tested", 20),
    ("api-keys.md", "## What is tested", 12),
    ("operators.md", "## What is tested", 8),
    ("audit-log.md", "## What is tested", 8),
];

#[test]
fn every_rule_of_the_manual_names_a_test_that_there_is() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = String::new();
    sources(&crates, &mut text);
    for (page, heading, least) in TABLES {
        let manual = fs::read_to_string(crates.join("../docs").join(page)).expect("the page");
        let rules = manual.split(heading).nth(1).expect("the table");

        let names: Vec<&str> = rules.split('`').skip(1).step_by(2).collect();

        assert!(names.len() >= *least, "{page}: {}", names.len());
        let missing: Vec<_> =
            names.iter().filter(|name| !text.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{page}: {missing:?}");
    }
}

#[test]
fn every_page_of_the_manual_is_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let manual = fs::read_to_string(docs.join("identity.md")).expect("the manual");
    for link in manual.split("](").skip(1) {
        let page = link.split(')').next().unwrap_or_default();
        assert!(docs.join(page).is_file(), "{page}");
    }
}
