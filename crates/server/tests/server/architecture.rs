//! Keeps the picture in `docs/architecture.md` true.

use std::{collections::HashSet, process::Command};

use serde_json::Value;

/// A crate may use crates of the lines above its own, never its neighbours. A crate that is not
/// named here is a domain.
const LAYERS: &[&[&str]] = &[
    &["kernel"],
    &["db", "telemetry", "egress", "sealing", "embedded-postgres"],
    &["web", "jobs"],
    &["app"],
    &["rate-limit", "email", "storage", "audit", "idempotency"],
    &["usage", "webhooks", "health", "backups"],
    &["quotas", "org-jobs"],
    &["auth", "assets"],
    &["ai", "billing"],
    &[], // domains
    &["admin", "alerts", "privacy", "support"],
    &["simulators"],
    &["server"],
    &["testing"],
];
const DOMAINS: usize = 9;

#[test]
fn dependencies_point_downwards() {
    let packages = workspace_packages();
    let ours: HashSet<&str> = packages.iter().map(name).collect();
    for package in &packages {
        let dependencies = package["dependencies"].as_array().unwrap();
        for dependency in dependencies.iter().filter(|it| it["kind"] != "dev") {
            let (from, to) = (name(package), name(dependency));
            if ours.contains(to) {
                assert!(layer_of(to) < layer_of(from), "{from} must not depend on {to}");
            }
        }
    }
}

#[test]
fn the_picture_names_every_crate_that_is_not_a_domain() {
    let picture = include_str!("../../../../docs/architecture.md");
    for name in LAYERS.iter().copied().flatten() {
        assert!(picture.contains(name), "docs/architecture.md does not show {name}");
    }
}

#[test]
fn there_is_one_tls_stack() {
    for banned in ["ring", "openssl-sys", "native-tls"] {
        let output = cargo(&["tree", "--workspace", "--all-features", "--invert", banned]);
        let tree = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(tree.trim().is_empty(), "{banned} is in the tree:\n{tree}");
    }
}

#[test]
fn only_embedded_postgres_may_contain_unsafe_code() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for file in rust_files(root.as_ref()) {
        let text = std::fs::read_to_string(&file).unwrap();
        let lifts = text.contains("expect(unsafe_code") || text.contains("allow(unsafe_code");
        let allowed = file.components().any(|part| part.as_os_str() == "embedded-postgres");
        let here = file.ends_with("tests/server/architecture.rs");
        assert!(!lifts || allowed || here, "{} lifts the ban on unsafe code", file.display());
    }
}

#[test]
fn no_file_is_longer_than_a_reader_scrolls() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for file in rust_files(root.as_ref()) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}

fn rust_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false if path.extension().is_some_and(|it| it == "rs") => vec![path],
            false => vec![],
        })
        .collect()
}

fn layer_of(name: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&name)).unwrap_or(DOMAINS)
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

fn workspace_packages() -> Vec<Value> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn cargo(arguments: &[&str]) -> std::process::Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg("--offline").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.output().unwrap()
}
