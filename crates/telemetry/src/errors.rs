use kernel::Environment;
use sentry::{
    ClientInitGuard, ClientOptions, User,
    integrations::tracing::{BreadcrumbLayer, ErrorLayer, SpanLayer},
    protocol::{Event, Request},
    types::Dsn,
};
use serde_json::Value;
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, filter_fn},
    registry::LookupSpan,
};

use crate::panics;

/// Reports to `dsn` from now on, without what identifies or authenticates people.
pub(crate) fn connect(
    dsn: Dsn,
    environment: Environment,
    release: &'static str,
) -> ClientInitGuard {
    let mut options = ClientOptions::new()
        .release(release)
        .environment(environment.to_string())
        .before_send(redact);
    options.dsn = Some(dsn);
    sentry::init(options)
}

/// Makes a report of every error in the log, with the fields of its spans and the lines before it.
pub(crate) fn layer<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let context = filter_fn(|line| matches!(*line.level(), Level::WARN | Level::INFO));
    let errors = filter_fn(|line| {
        line.is_span() || *line.level() == Level::ERROR && line.target() != panics::TARGET
    });
    SpanLayer::new()
        .with_filter(LevelFilter::INFO)
        .and_then(BreadcrumbLayer::new().with_filter(context))
        .and_then(ErrorLayer::new().enable_span_attributes().with_filter(errors))
}

/// The report without headers, cookies, bodies, query strings, names and e-mail addresses. What
/// cannot be redacted is not sent.
fn redact(mut event: Event<'static>) -> Option<Event<'static>> {
    event.request = event.request.map(|request| Request {
        method: request.method,
        url: request.url,
        ..Request::default()
    });
    event.user = event.user.map(|user| User { id: user.id, ..User::default() });
    let mut report = serde_json::to_value(event).ok()?;
    redact_texts(&mut report);
    serde_json::from_value(report).ok()
}

fn redact_texts(value: &mut Value) {
    match value {
        Value::String(text) => *text = redacted(text),
        Value::Array(values) => values.iter_mut().for_each(redact_texts),
        Value::Object(fields) => fields.values_mut().for_each(redact_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text with each e-mail address, each URL that holds a password, and each query string struck out.
pub fn redacted(text: &str) -> String {
    let ends_a_word = |c: char| c.is_whitespace() || "\"'`<>()[]{},;".contains(c);
    let redacted_word = |word: &str| {
        let bare = word.trim_end_matches(ends_a_word);
        let end = &word[bare.len()..];
        match bare.split_once('?') {
            _ if names_somebody(bare) => format!("[redacted]{end}"),
            Some((path, query)) if query.contains('=') => format!("{path}?[redacted]{end}"),
            _ => word.to_owned(),
        }
    };
    text.split_inclusive(ends_a_word).map(redacted_word).collect()
}

/// Tells `ada@x.example` and `postgres://ada:secret@db` from `slipway@1.2.3`.
fn names_somebody(word: &str) -> bool {
    let Some((_, host)) = word.rsplit_once('@') else { return false };
    let host = host.split(|c: char| !c.is_alphanumeric() && !"-.".contains(c)).next();
    let top = host.and_then(|host| host.trim_end_matches('.').rsplit_once('.')).map(|(_, top)| top);
    word.contains("://") || top.is_some_and(|top| top.chars().all(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sentry::protocol::{Breadcrumb, Context, Exception};
    use serde_json::json;

    use super::*;

    fn strings<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    fn report() -> Event<'static> {
        Event {
            message: Some("cannot send to canary@x.example: no route".into()),
            request: Some(Request {
                method: Some("POST".into()),
                url: Some("https://api.example/v1/reset?token=canary".parse().unwrap()),
                query_string: Some("token=canary".into()),
                cookies: Some("session=canary".into()),
                data: Some("{\"password\":\"canary\"}".into()),
                headers: strings([("Authorization", "Bearer canary"), ("Cookie", "canary")]),
                env: strings([("REMOTE_ADDR", "canary")]),
            }),
            user: Some(User {
                id: Some("u1".into()),
                email: Some("canary@x.example".into()),
                username: Some("canary".into()),
                ..User::default()
            }),
            contexts: [(
                "fields".to_owned(),
                Context::Other(
                    [("dsn".to_owned(), json!({ "url": ["postgres://me:canary@db/x"] }))].into(),
                ),
            )]
            .into(),
            breadcrumbs: vec![Breadcrumb {
                message: Some("GET /v1/files/1?signature=canary 200".into()),
                ..Breadcrumb::default()
            }]
            .into(),
            exception: vec![Exception {
                value: Some("Key (email)=(canary@x.example) already exists".into()),
                ..Exception::default()
            }]
            .into(),
            ..Event::default()
        }
    }

    #[test]
    fn a_report_tells_what_happened_and_not_to_whom() {
        let report = serde_json::to_string(&redact(report())).unwrap();
        assert!(!report.contains("canary"), "{report}");
        for kept in [
            "POST",
            "https://api.example/v1/reset",
            "\"u1\"",
            "cannot send to",
            "no route",
            "GET /v1/files/1",
            "already exists",
        ] {
            assert!(report.contains(kept), "{kept} is missing in {report}");
        }
    }

    #[test]
    fn a_report_without_secrets_is_sent_as_it_is() {
        let harmless =
            Event { message: Some("what? 1 < 2, a = b; [x]".into()), ..Event::default() };
        assert_eq!(redact(harmless.clone()).unwrap().message, harmless.message);
    }
}
