//! The commands of the manual fit the API: what they call exists, and takes what they send.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::openapi::describe;

/// A `curl` of the manual.
#[derive(Debug)]
struct Command {
    page: String,
    text: String,
}

/// Every command of the pages below `directory`.
fn commands(directory: &Path, found: &mut Vec<Command>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            commands(&path, found);
        } else if path.extension().is_some_and(|it| it == "md") {
            let text = fs::read_to_string(&path).unwrap().replace("\\\n", " ");
            let lines: Vec<&str> = text.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                if let Some(start) = line.trim_start().strip_prefix("curl ") {
                    // A body may go on over lines.
                    let mut whole = start.to_owned();
                    let mut rest = lines[at + 1..].iter();
                    while whole.matches('\'').count() % 2 == 1 {
                        whole.push_str(rest.next().expect("the quotation ends"));
                    }
                    found.push(Command { page: path.display().to_string(), text: whole });
                }
            }
        }
    }
}

impl Command {
    /// The path below our address, without its query; `None`: it is somebody else's.
    fn path(&self) -> Option<String> {
        let mut words = self.text.split([' ', '"']);
        let ours = ["$APP/", "$URL/", "$SLIPWAY/"];
        let address = words.find(|it| ours.iter().any(|base| it.starts_with(base)))?;
        let (_, path) = address.split_once('/')?;
        Some(format!("/{}", path.split('?').next().unwrap_or_default()))
    }

    fn body(&self) -> Option<Value> {
        let (_, after) = self.text.split_once("-d '")?;
        let (body, _) = after.split_once('\'')?;
        let known = |it: &str| serde_json::from_str(it).ok();
        Some(known(body).unwrap_or_else(|| panic!("{}: no JSON: {body}", self.page)))
    }

    fn method(&self) -> String {
        let given = self.text.split("-X ").nth(1).and_then(|it| it.split(' ').next());
        let usual = if self.text.contains(" -d ") { "post" } else { "get" };
        given.unwrap_or(usual).to_lowercase()
    }
}

/// Whether `path` is one that `template` stands for.
fn fits(template: &str, path: &str) -> bool {
    let (parts, given): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    parts.len() == given.len()
        && parts.iter().zip(given).all(|(part, given)| part.starts_with('{') || *part == given)
}

/// What a body of this schema may contain; `None`: anything.
fn properties(document: &Value, schema: &Value) -> Option<BTreeSet<String>> {
    if let Some(name) = schema["$ref"].as_str() {
        return properties(document, document.pointer(name.trim_start_matches('#')).unwrap());
    }
    let mut names: BTreeSet<String> = BTreeSet::new();
    names.extend(schema["properties"].as_object()?.keys().cloned());
    Some(names)
}

#[tokio::test]
async fn every_curl_of_the_manual_calls_what_there_is_and_sends_what_it_takes() {
    let (document, _) = describe();
    let mut found = Vec::new();
    commands(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs"), &mut found);
    let mut wrong = Vec::new();
    let mut checked = 0;
    for command in &found {
        let Some(path) = command.path() else { continue };
        let paths = document["paths"].as_object().unwrap();
        // An exact path comes before one with a variable.
        let fitting = paths.iter().filter(|(template, _)| fits(template, &path));
        let item = fitting.min_by_key(|(template, _)| template.matches('{').count());
        let operation = item.map(|(_, item)| &item[command.method()]);
        let Some(operation) = operation.filter(|it| it.is_object()) else {
            wrong.push(format!("{}: no {} {path}", command.page, command.method()));
            continue;
        };
        checked += 1;
        let Some(body) = command.body() else { continue };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(known) = properties(&document, schema) else { continue };
        let sent = body.as_object().expect("an object").keys();
        let unknown: Vec<&String> = sent.filter(|name| !known.contains(*name)).collect();
        if !unknown.is_empty() {
            wrong.push(format!("{}: {path} takes no {unknown:?}", command.page));
        }
    }
    assert!(checked > 30, "{checked}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The names of metrics in the sources below `directory`.
fn metrics(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            metrics(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for kind in ["counter!(", "gauge!(", "histogram!("] {
                let calls = text.split(kind).skip(1);
                let names =
                    calls.filter_map(|it| it.trim_start().strip_prefix('"')?.split('"').next());
                found.extend(names.map(str::to_owned));
            }
        }
    }
}

#[test]
fn every_metric_is_in_the_manual() {
    let mut found = BTreeSet::new();
    metrics(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut found);
    assert!(found.len() > 15, "{found:?}");
    let page = include_str!("../../../../docs/monitoring.md");
    let missing: Vec<_> = found.iter().filter(|it| !page.contains(&format!("`{it}`"))).collect();
    assert!(missing.is_empty(), "docs/monitoring.md does not name {missing:?}");
}
