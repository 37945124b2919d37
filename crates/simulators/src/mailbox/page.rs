use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};

use super::{Message, store::Store};

/// For our own pages: no scripts at all, and frames only for the mails.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// For the mails themselves, which may contain anything: an origin of their own and no network.
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'";

pub(super) fn routes() -> Router<Store> {
    Router::new()
        .route("/", get(list))
        .route("/messages/{id}", get(show))
        .layer(middleware::map_response(|page: Response| async { guarded(page, PAGE_POLICY) }))
        .route("/messages/{id}/html", get(show_html))
}

fn guarded(page: impl IntoResponse, policy: &'static str) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

#[derive(Template)]
#[template(path = "mailbox/list.html")]
struct ListPage {
    messages: Vec<Arc<Message>>,
}

#[derive(Template)]
#[template(path = "mailbox/message.html")]
struct MessagePage {
    message: Arc<Message>,
}

async fn list(State(store): State<Store>) -> Result<Html<String>, StatusCode> {
    let mut messages = store.messages(None);
    messages.reverse();
    render(&ListPage { messages })
}

async fn show(
    State(store): State<Store>,
    Path(id): Path<usize>,
) -> Result<Html<String>, StatusCode> {
    let message = store.message(id).ok_or(StatusCode::NOT_FOUND)?;
    render(&MessagePage { message })
}

async fn show_html(
    State(store): State<Store>,
    Path(id): Path<usize>,
) -> Result<Response, StatusCode> {
    let message = store.message(id).ok_or(StatusCode::NOT_FOUND)?;
    let html = message.html.clone().ok_or(StatusCode::NOT_FOUND)?;
    // Links open beside the mail, as in a mail program.
    Ok(guarded(Html(format!("<base target=\"_blank\">{html}")), MAIL_POLICY))
}

fn render(page: &impl Template) -> Result<Html<String>, StatusCode> {
    page.render().map(Html).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
