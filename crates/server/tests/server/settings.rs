use std::{collections::HashMap, ffi::OsString};

use server::cli::{Cli, Refused, read};

fn with(pairs: &[(&str, &str)]) -> Result<Cli, Vec<String>> {
    let pairs: HashMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let arguments: Vec<OsString> = vec!["slipway".into()];
    read(arguments, &|name| pairs.get(name).cloned()).map_err(|refused| match refused {
        Refused::Problems(problems) => problems,
        Refused::Clap(error) => panic!("{error}"),
    })
}

const PRODUCTION: &[(&str, &str)] = &[
    ("APP_ENV", "production"),
    ("APP_URL", "https://app.example.com"),
    ("AUTH_SECRET", "0b5c4f2f7f7f4a8b9f3b3f0d7d8e1c2a-k"),
    ("DATABASE_URL", "postgres://slipway:secret@db.example.com/slipway"),
    ("OPENAI_API_KEY", "sk-live"),
    ("STRIPE_SECRET_KEY", "sk_live_x"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_x"),
    ("SMTP_URL", "smtps://user:pass@mail.example.com"),
    ("EMAIL_FROM", "Acme <hello@example.com>"),
];

fn production_but(name: &str, value: &str) -> Vec<String> {
    let mut pairs: Vec<_> = PRODUCTION.iter().copied().filter(|(it, _)| *it != name).collect();
    if !value.is_empty() {
        pairs.push((name, value));
    }
    with(&pairs).err().unwrap_or_default()
}

#[test]
fn nothing_needs_to_be_set_in_development() {
    with(&[]).unwrap();
}

#[test]
fn a_complete_production_configuration_is_accepted() {
    with(PRODUCTION).unwrap();
}

#[test]
fn all_errors_are_reported_at_once() {
    let problems = with(&[
        ("PORT", "http"),
        ("DATABASE_POOL_SIZE", "1"),
        ("APP_ENV", "production"),
        ("AUTH_SECRET", "short"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
    ])
    .unwrap_err();

    for name in
        ["PORT", "DATABASE_POOL_SIZE", "AUTH_SECRET", "CORS_ORIGINS", "SMTP_URL", "OPENAI_API_KEY"]
    {
        assert!(problems.iter().any(|it| it.contains(name)), "{name} is missing in {problems:#?}");
    }
}

#[test]
fn production_refuses_what_only_development_may_do() {
    for (name, value) in [
        ("APP_URL", "http://app.example.com"),
        ("APP_URL", ""),
        ("APP_URL", "https://example.com/app"),
        ("AUTH_SECRET", "short"),
        ("AUTH_SECRET", ""),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "mysql://x"),
        ("OPENAI_API_KEY", ""),
        ("OPENAI_BASE_URL", "http://127.0.0.1:4020/v1"),
        ("STRIPE_SECRET_KEY", "sk_test_x"),
        ("STRIPE_WEBHOOK_SECRET", ""),
        ("STRIPE_BASE_URL", "http://127.0.0.1:4010"),
        ("SMTP_URL", ""),
        ("RATE_LIMITS", "off"),
        ("EGRESS_ALLOW_LOOPBACK", "true"),
    ] {
        let problems = production_but(name, value);
        assert!(problems.iter().any(|it| it.contains(name)), "{name}={value:?}: {problems:?}");
    }
}

#[test]
fn a_problem_never_prints_a_secret() {
    for name in ["AUTH_SECRET", "STRIPE_SECRET_KEY", "DATABASE_URL"] {
        let problems = production_but(name, "canary-secret");
        assert!(!problems.is_empty(), "{name}");
        assert!(!problems.join("\n").contains("canary"), "{name}: {problems:?}");
    }
}

#[test]
fn a_setting_can_be_read_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("port");
    std::fs::write(&file, "4321\n").unwrap();
    let path = file.to_str().unwrap();

    assert_eq!(with(&[("PORT_FILE", path)]).unwrap().settings.port, 4321);
    assert!(with(&[("PORT_FILE", path), ("PORT", "1")]).is_err());
    assert!(with(&[("PORT_FILE", "/nowhere")]).is_err());
}
