use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use email::{Email, EmailEvent, EmailQuery, EmailRecord};
use kernel::Id;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Page, Path, Problem, Query, Routes};

use crate::Admin;

pub(super) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_emails))
        .route(Access::operators(), routes!(show_email))
        .route(Access::operators(), routes!(retry_email))
}

/// A mail, and what the provider told about it.
#[derive(Serialize, ToSchema)]
struct EmailHistory {
    #[serde(flatten)]
    email: EmailRecord,
    /// In the order in which it happened.
    events: Vec<EmailEvent>,
}

/// List mails by what became of them, the newest first. What they say is not kept.
#[utoipa::path(get, path = "/admin/v1/emails", tag = "operators", params(EmailQuery),
    responses((status = 200, body = Page<EmailRecord>)))]
async fn list_emails(
    State(admin): State<Admin>,
    Query(query): Query<EmailQuery>,
) -> web::Result<Json<Page<EmailRecord>>> {
    let page = query.page();
    let rows = EmailRecord::list(admin.db.pool(), &query, page.after()?, page.rows()?).await?;
    Ok(Json(Page::new(&page, rows, |email| email.id)))
}

/// Show what became of a mail.
#[utoipa::path(get, path = "/admin/v1/emails/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = EmailHistory)))]
async fn show_email(
    State(admin): State<Admin>,
    Path(id): Path<Id<Email>>,
) -> web::Result<Json<EmailHistory>> {
    let email = EmailRecord::get(admin.db.pool(), id).await?.ok_or_else(not_found)?;
    let events = EmailEvent::of(admin.db.pool(), id).await?;
    Ok(Json(EmailHistory { email, events }))
}

/// Send a mail again that was given up. Only within a week, and no mail with a link that lets somebody
/// in: that has expired, so they ask for another.
#[utoipa::path(post, path = "/admin/v1/emails/{id}/retries", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 202, description = "It is queued")))]
async fn retry_email(
    State(admin): State<Admin>,
    origin: Origin,
    Path(id): Path<Id<Email>>,
) -> web::Result<StatusCode> {
    let mut tx = admin.db.begin().await?;
    let email = EmailRecord::get(&mut *tx, id).await?.ok_or_else(not_found)?;
    if !EmailRecord::retry(&mut tx, id).await? {
        let detail = "only a mail that was given up, and whose text is still kept, is sent again";
        return Err(Problem::conflict("email_not_retryable", detail)
            .action("Let its reader ask for another one."));
    }
    Entry::new(&origin, None, "email.retried", id)
        .before(json!({ "status": email.status, "error": email.error }))
        .record(&mut tx, admin.clock.now())
        .await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

fn not_found() -> Problem {
    Problem::not_found("email_not_found", "there is no such mail")
}
