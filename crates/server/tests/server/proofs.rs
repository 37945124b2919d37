//! What the documentation claims is proved by tests that exist.

use std::{collections::HashSet, fs, path::Path};

/// Every test of the repository, as `crate::name`.
pub(crate) fn tests() -> HashSet<String> {
    let mut found = HashSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            collect(&entry.path(), entry.file_name().to_str().unwrap(), &mut found);
        }
    }
    found
}

fn collect(directory: &Path, of: &str, found: &mut HashSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, of, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (at, line) in lines.iter().enumerate() {
                let name = line.trim_start_matches("async ").strip_prefix("fn ");
                let Some((name, _)) = name.and_then(|it| it.split_once('(')) else { continue };
                let mut above = lines[..at].iter().rev().take_while(|it| it.starts_with("#["));
                if above.any(|it| it.starts_with("#[test]") || it.starts_with("#[tokio::test")) {
                    found.insert(format!("{of}::{name}"));
                }
            }
        }
    }
}

#[test]
fn every_test_that_a_page_names_as_a_proof_exists() {
    let tests = tests();
    let found: HashSet<&str> = tests.iter().filter_map(|it| Some(it.split_once("::")?.1)).collect();
    for (page, least) in [
        (include_str!("../../../../docs/cost-control.md"), 50),
        (include_str!("../../../../docs/billing.md"), 80),
        (include_str!("../../../../docs/ledger.md"), 35),
        (include_str!("../../../../docs/backups.md"), 12),
        (include_str!("../../../../docs/preflight.md"), 8),
        (include_str!("../../../../docs/delivery.md"), 110),
    ] {
        let (_, proofs) = page.split_once("## Proofs").expect("the page has proofs");
        let named = proofs.split('`').skip(1).step_by(2).filter(|it| it.len() > 20);
        let named: Vec<&str> = named.collect();
        assert!(named.len() >= least, "{} are named", named.len());
        let missing: Vec<_> = named.into_iter().filter(|it| !found.contains(it)).collect();
        assert!(missing.is_empty(), "no such test: {missing:#?}");
    }
}
