//! What GitHub runs is what everybody can run, and asks for no more than it needs.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::deploys::yaml;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn workflows() -> Vec<(String, Value)> {
    let files = fs::read_dir(Path::new(ROOT).join(".github/workflows")).unwrap();
    let name = |file: fs::DirEntry| format!(".github/workflows/{}", file.file_name().display());
    files.map(|it| name(it.unwrap())).map(|name| (name.clone(), yaml(&name))).collect()
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().unwrap().iter()
}

fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().unwrap().iter()
}

#[test]
fn workflows_may_read_only_unless_a_job_says_more_and_every_job_ends() {
    for (file, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{file}");
        for (name, job) in jobs(&workflow) {
            assert!(job["timeout-minutes"].is_u64(), "{file}: {name}");
            assert!(job["permissions"]["contents"] != "write", "{file}: {name}");
            for step in steps(job) {
                let Some(uses) = step["uses"].as_str() else { continue };
                let (action, version) = uses.split_once('@').expect(uses);
                assert!(!matches!(version, "main" | "master" | "latest"), "{file}: {uses}");
                let keeps = &step["with"]["persist-credentials"];
                assert!(action != "actions/checkout" || keeps == false, "{file}: {name}");
            }
        }
    }
}

#[test]
fn workflows_call_recipes_and_scripts_that_everybody_can_run() {
    let justfile = fs::read_to_string(Path::new(ROOT).join("justfile")).unwrap();
    let recipes: BTreeSet<&str> = justfile
        .lines()
        .filter(|line| line.starts_with(|it: char| it.is_ascii_lowercase()))
        .filter_map(|line| line.split([' ', ':']).next())
        .collect();
    assert!(justfile.contains("\nci:\n    .ci/run\n"), "`just ci` is what CI runs");
    let mut called = 0;
    for (file, workflow) in workflows() {
        for run in
            jobs(&workflow).flat_map(|(_, job)| steps(job)).filter_map(|it| it["run"].as_str())
        {
            let mut words = run.split_whitespace();
            match words.next() {
                Some("just") => assert!(recipes.contains(words.next().unwrap()), "{file}: {run}"),
                Some(script) if script.starts_with(".github/scripts/") => {
                    let mode = fs::metadata(Path::new(ROOT).join(script))
                        .expect(script)
                        .permissions()
                        .mode();
                    assert_eq!(mode & 0o111, 0o111, "{script} cannot be run");
                }
                _ => continue,
            }
            called += 1;
        }
    }
    assert!(called >= 5, "{called}");
}

/// What people wrote does not become part of a script.
#[test]
fn no_script_has_an_expression_in_it() {
    for (file, workflow) in workflows() {
        for (name, job) in jobs(&workflow) {
            for run in steps(job).filter_map(|it| it["run"].as_str()) {
                assert!(!run.contains("${{"), "{file}: {name}: {run}");
            }
        }
    }
}

#[test]
fn what_must_pass_before_a_merge_is_what_pull_requests_run() {
    let script = fs::read_to_string(Path::new(ROOT).join(".github/scripts/protect-main")).unwrap();
    let required: Vec<&str> = script
        .lines()
        .filter_map(|it| it.split_once("{ \"context\": \"")?.1.split('"').next())
        .collect();
    let mut run = BTreeSet::new();
    for (_, workflow) in workflows() {
        if workflow["on"].get("pull_request").is_none() {
            continue;
        }
        for (id, job) in jobs(&workflow) {
            run.insert(job["name"].as_str().unwrap_or(id).to_owned());
        }
    }
    assert!(required.len() >= 4);
    let missing: Vec<_> = required.iter().filter(|it| !run.contains(**it)).collect();
    assert!(missing.is_empty(), "nobody runs {missing:?} of {run:?}");
}

#[test]
fn production_waits_for_approval_and_staging_for_the_tests() {
    let production = yaml(".github/workflows/deploy-production.yml");
    assert_eq!(production["jobs"]["deploy"]["environment"]["name"], "production");
    assert_eq!(
        production["on"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["workflow_dispatch"]
    );
    let staging = yaml(".github/workflows/deploy-staging.yml");
    let after = staging["on"]["workflow_run"]["workflows"][0].as_str().unwrap();
    assert!(workflows().iter().any(|(_, workflow)| workflow["name"] == after), "{after}");
    assert!(staging["jobs"]["image"]["if"].as_str().unwrap().contains("conclusion == 'success'"));
    for workflow in [production, staging] {
        let last = steps(&workflow["jobs"]["deploy"]).last().unwrap();
        assert!(last["run"].as_str().unwrap().starts_with(".github/scripts/deploy "));
        // One at a time, and never cut off in the middle.
        assert!(workflow["concurrency"]["group"].is_string());
        assert!(workflow["concurrency"]["cancel-in-progress"].is_null());
    }
}
