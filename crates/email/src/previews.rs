//! Pages for developers: every mail as it looks, filled in with samples. Served in development only.
#![expect(clippy::disallowed_types, reason = "these pages are for developers, who get no Problem")]

use std::sync::Arc;

use askama::Template as _;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use crate::{
    Brand, Locale,
    mails::samples::{Sample, samples},
};

/// No scripts, no network: a mail is shown as a mail program shows it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'";

/// A list of all mails, and each as HTML and as text: `/{name}.html`, `/{name}.txt`, in English or with
/// `?locale=de`.
pub fn previews(brand: Brand) -> Router {
    let policy = |page: Response| async {
        ([(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")], page)
    };
    Router::new()
        .route("/", get(list))
        .route("/{file}", get(show))
        .layer(axum::middleware::map_response(policy))
        .with_state(Arc::new(brand))
}

#[derive(Deserialize)]
struct Language {
    #[serde(default)]
    locale: Locale,
}

#[derive(askama::Template)]
#[template(path = "previews.html")]
struct List {
    samples: Vec<Sample>,
    locales: [Locale; 2],
}

async fn list(State(brand): State<Arc<Brand>>) -> Result<Html<String>, StatusCode> {
    let samples = sampled(&brand, Locale::En)?;
    let page = List { samples, locales: Locale::ALL }.render();
    page.map(Html).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn show(
    State(brand): State<Arc<Brand>>,
    Path(file): Path<String>,
    Query(language): Query<Language>,
) -> Result<Response, StatusCode> {
    let (name, kind) = file.rsplit_once('.').ok_or(StatusCode::NOT_FOUND)?;
    let samples = sampled(&brand, language.locale)?;
    let found = samples.into_iter().find(|sample| sample.name == name);
    let mail = found.ok_or(StatusCode::NOT_FOUND)?.content;
    match kind {
        "html" => Ok(Html(mail.html).into_response()),
        "txt" => Ok(format!("Subject: {}\n\n{}", mail.subject, mail.text).into_response()),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

fn sampled(brand: &Brand, locale: Locale) -> Result<Vec<Sample>, StatusCode> {
    samples(brand, locale, "Ada Lovelace").map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
