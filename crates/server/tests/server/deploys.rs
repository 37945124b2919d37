//! The files that deploy Slipway name settings, commands and paths that exist, and keep the rules that matter.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use serde_json::Value;
use server::cli::{self, Cli};

use crate::openapi::describe;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A YAML file, with what it merges (`<<`) merged.
pub(crate) fn yaml(file: &str) -> Value {
    let mut value: serde_norway::Value = serde_norway::from_str(&text(file)).expect(file);
    value.apply_merge().expect(file);
    serde_json::to_value(value).expect(file)
}

fn toml(file: &str) -> Value {
    toml::from_str(&text(file)).expect(file)
}

/// Every setting, by the name of its variable.
fn settings() -> BTreeSet<String> {
    let example = cli::env_example();
    let names = example.lines().filter_map(|line| line.strip_prefix("# ")?.split_once('='));
    let is_name =
        |it: &&str| it.bytes().all(|it| it.is_ascii_uppercase() || b"_0123456789".contains(&it));
    names.map(|(name, _)| name).filter(is_name).map(str::to_owned).collect()
}

/// What a command line does, or why it is none.
pub(crate) fn parse(words: &[&str]) -> Result<clap::ArgMatches, clap::Error> {
    Cli::command().try_get_matches_from(words)
}

fn assert_is_command(file: &str, words: &[&str]) {
    let parsed = parse(words);
    assert!(parsed.is_ok(), "{file}: {words:?}: {}", parsed.unwrap_err());
    assert_eq!(words[0], "slipway", "{file}: {words:?}");
}

fn assert_is_command_line(file: &str, line: &Value) {
    let line = line.as_str().unwrap_or_else(|| panic!("{file}: {line} is no command"));
    assert_is_command(file, &line.split_whitespace().collect::<Vec<_>>());
}

fn assert_are_settings<'a>(file: &str, names: impl IntoIterator<Item = &'a str>) {
    let known = settings();
    let unknown: Vec<_> = names.into_iter().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "{file} sets what is no setting: {unknown:?}");
}

fn assert_is_path(file: &str, path: &Value) {
    let (document, _) = describe();
    let path = path.as_str().unwrap_or_default();
    assert!(document["paths"][path]["get"].is_object(), "{file}: no GET {path}");
}

/// Values that only a place for secrets may hold.
const SECRETS: &[&str] = &[
    "AUTH_SECRET",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "SMTP_URL",
    "RESEND_API_KEY",
    "S3_SECRET_ACCESS_KEY",
    "BACKUP_KEY",
    "DATABASE_URL",
    "REDIS_URL",
    "SENTRY_DSN",
];

/// The variables of a service on Render, and where each comes from.
fn variables(service: &Value) -> BTreeMap<String, Value> {
    let all = service["envVars"].as_array().unwrap().iter();
    all.map(|it| (it["key"].as_str().unwrap().to_owned(), it.clone())).collect()
}

/// What production would say to the variables of a service, if people fill in what is asked of them.
fn refused_by_production(variables: &BTreeMap<String, Value>) -> Option<Vec<String>> {
    let filled: HashMap<&str, &str> = HashMap::from([
        ("APP_URL", "https://app.example.com"),
        ("AUTH_SECRET", "0b5c4f2f7f7f4a8b9f3b3f0d7d8e1c2a-k"),
        ("BACKUP_KEY", "9b5c4f2f7f7f4a8b9f3b3f0d7d8e1c2a-k"),
        ("DATABASE_URL", "postgres://slipway:secret@db.example.com/slipway"),
        ("REDIS_URL", "redis://red-abc:6379"),
        ("OPENAI_API_KEY", "sk-live"),
        ("STRIPE_SECRET_KEY", "sk_live_x"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_x"),
        ("SMTP_URL", "smtps://user:pass@mail.example.com"),
        ("EMAIL_FROM", "Acme <hello@example.com>"),
    ]);
    let value = |name: &str| {
        let variable = variables.get(name)?;
        let value = variable["value"].as_str().or_else(|| filled.get(name).copied());
        value.map(str::to_owned)
    };
    match cli::read(vec!["slipway".into()], &value) {
        Ok(_) => None,
        Err(cli::Refused::Problems(problems)) => Some(problems),
        Err(cli::Refused::Clap(error)) => Some(vec![error.to_string()]),
    }
}

#[tokio::test]
async fn the_blueprint_for_render_fits_the_program() {
    let (file, blueprint) = ("render.yaml", yaml("render.yaml"));
    let services = blueprint["services"].as_array().unwrap();
    let of = |kind: &str| services.iter().find(|it| it["type"] == kind).expect(kind);
    let (web, worker) = (variables(of("web")), variables(of("worker")));

    assert_is_command_line(file, &of("web")["preDeployCommand"]);
    assert_eq!(of("web")["preDeployCommand"], "slipway migrate up");
    assert_is_command_line(file, &of("web")["dockerCommand"]);
    assert_is_command_line(file, &of("worker")["dockerCommand"]);
    assert_is_path(file, &of("web")["healthCheckPath"]);
    for variables in [&web, &worker] {
        assert_are_settings(file, variables.keys().map(String::as_str));
        assert_eq!(refused_by_production(variables), None);
        for name in SECRETS.iter().filter_map(|name| variables.get(*name)) {
            assert!(name["value"].is_null(), "a secret is in the file: {name}");
        }
    }
    // What people are asked for once reaches the worker too.
    for (name, variable) in &web {
        let asked = variable["sync"] == false || variable["generateValue"] == true;
        let passed_on = worker.get(name).map(|it| &it["fromService"]["envVarKey"]);
        assert!(
            !asked || passed_on == Some(&Value::from(name.as_str())),
            "{name} misses the worker"
        );
    }
    let seconds = |name: &str| web[name]["value"].as_str().unwrap().parse::<u64>().unwrap();
    let allowed = of("web")["maxShutdownDelaySeconds"].as_u64().unwrap();
    assert!(allowed >= seconds("DRAIN_SECONDS") + seconds("GRACE_SECONDS"));
    // Data is reached from the private network only.
    assert_eq!(of("keyvalue")["ipAllowList"], serde_json::json!([]));
    assert_eq!(blueprint["databases"][0]["ipAllowList"], serde_json::json!([]));
    let names: Vec<&Value> = services.iter().map(|it| &it["name"]).collect();
    for from in web.values().chain(worker.values()).map(|it| &it["fromService"]["name"]) {
        assert!(from.is_null() || names.contains(&from), "no service {from}");
    }
}

#[tokio::test]
async fn the_configuration_for_fly_fits_the_program() {
    let (file, fly) = ("fly.toml", toml("fly.toml"));
    let env = fly["env"].as_object().unwrap();
    assert_are_settings(file, env.keys().map(String::as_str));
    assert!(
        env.keys().all(|name| !SECRETS.contains(&name.as_str())),
        "secrets go to `fly secrets`"
    );
    assert_eq!(fly["deploy"]["release_command"], "slipway migrate up");
    assert_is_command_line(file, &fly["deploy"]["release_command"]);
    let processes = fly["processes"].as_object().unwrap();
    for line in processes.values() {
        assert_is_command_line(file, line);
    }
    let served = fly["http_service"]["processes"].as_array().unwrap();
    assert!(served.iter().all(|it| processes.contains_key(it.as_str().unwrap())));
    assert_eq!(fly["http_service"]["internal_port"].to_string(), env["PORT"].as_str().unwrap());
    assert_is_path(file, &fly["http_service"]["checks"][0]["path"]);
    let seconds =
        |text: &Value| text.as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
    let ending = seconds(&env["DRAIN_SECONDS"]) + seconds(&env["GRACE_SECONDS"]);
    assert!(seconds(&fly["kill_timeout"]) >= ending);
}

#[test]
fn the_composition_for_docker_fits_the_program() {
    let (file, compose) = ("compose.yaml", yaml("compose.yaml"));
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        if service["build"].is_null() {
            let ports = service["ports"].as_array().into_iter().flatten();
            let published: Vec<_> =
                ports.filter(|it| !it.as_str().unwrap().starts_with("127.0.0.1:")).collect();
            assert!(published.is_empty(), "{name} is open to the network: {published:?}");
            continue;
        }
        let env = service["environment"].as_object().unwrap();
        assert_are_settings(file, env.keys().map(String::as_str));
        if let Some(command) = service["command"].as_array() {
            assert_is_command(
                file,
                &command.iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>(),
            );
        }
        let needs = service["depends_on"].as_object().unwrap();
        assert!(needs.keys().all(|it| services.contains_key(it)), "{name}");
    }
    assert_eq!(
        services["api"]["depends_on"]["migrate"]["condition"],
        "service_completed_successfully"
    );
}

/// The words of the line of a Dockerfile that ends in `["…", …]`.
fn exec_form(line: &str) -> Vec<String> {
    let start = line.find('[').unwrap_or_else(|| panic!("{line} is not in the exec form"));
    serde_json::from_str(&line[start..]).unwrap()
}

#[test]
fn the_image_has_no_simulators_no_root_and_a_health_check_of_its_own() {
    let (file, dockerfile) = ("Dockerfile", text("Dockerfile"));
    let last = dockerfile.rsplit_once("\nFROM ").unwrap().1;
    for start in ["CMD ", "HEALTHCHECK "] {
        let line = last.lines().find(|line| line.starts_with(start)).expect(start);
        let words = exec_form(line);
        assert_is_command(file, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let user = last.lines().find_map(|line| line.strip_prefix("USER ")).expect("it is not root");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    let env = last.lines().find_map(|line| line.strip_prefix("ENV ")).unwrap();
    assert_are_settings(file, env.split(' ').filter_map(|it| Some(it.split_once('=')?.0)));
    for command in ["cargo build ", "cargo chef cook "] {
        let line = dockerfile.lines().find(|line| line.contains(command)).expect(command);
        assert!(line.contains("--no-default-features") && line.contains("--locked"), "{line}");
    }
    let port = last.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    assert_eq!(
        cli::read(vec!["slipway".into()], &|_| None).unwrap().settings.port.to_string(),
        port
    );
    let (_, rust) = dockerfile.split_once("ARG RUST=").unwrap();
    let rust = rust.lines().next().unwrap();
    assert!(text("Cargo.toml").contains(&format!("rust-version = \"{rust}\"")));
}

#[test]
fn what_the_image_is_built_from_is_named_and_holds_no_secret() {
    let ignored = text(".dockerignore");
    let mut lines = ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(lines.next(), Some("*"), "what is not named stays outside");
    let named: Vec<_> = lines.filter_map(|line| line.strip_prefix('!')).collect();
    assert!(named.iter().all(|path| root().join(path).exists()), "{named:?}");
    assert!(!named.iter().any(|path| path.starts_with(".env") || path.starts_with(".git")));
    for needed in ["Cargo.toml", "Cargo.lock", ".sqlx", "crates", "migrations"] {
        assert!(named.contains(&needed), "{needed}");
    }
}
