use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use email::{Reason, Suppression};
use kernel::{EmailAddress, Id};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Problem, Query, Routes};

use crate::Admin;

pub(super) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_email_suppressions, create_email_suppression))
        .route(Access::operators(), routes!(remove_email_suppression))
}

/// Which suppressions to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuppressionQuery {
    /// Only those of this address.
    address: Option<EmailAddress>,
    /// Items per page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u16>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An address that shall get no mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EmailSuppressionInput {
    address: EmailAddress,
    /// Why.
    #[schema(min_length = 1, max_length = 500)]
    note: String,
}

/// List addresses that get no mail, the newest first, and why.
#[utoipa::path(get, path = "/admin/v1/email-suppressions", tag = "operators",
    params(SuppressionQuery), responses((status = 200, body = Page<Suppression>)))]
async fn list_email_suppressions(
    State(admin): State<Admin>,
    Query(query): Query<SuppressionQuery>,
) -> web::Result<Json<Page<Suppression>>> {
    let page = PageQuery { limit: query.limit.unwrap_or(20), cursor: query.cursor };
    let (after, rows) = (page.after()?, page.rows()?);
    let rows = Suppression::list(admin.db.pool(), query.address.as_ref(), after, rows).await?;
    Ok(Json(Page::new(&page, rows, |it| it.id)))
}

/// Send no mail to an address any more, not even about security.
#[utoipa::path(post, path = "/admin/v1/email-suppressions", tag = "operators",
    request_body = EmailSuppressionInput, responses((status = 201, body = Suppression)))]
async fn create_email_suppression(
    State(admin): State<Admin>,
    origin: Origin,
    Json(input): Json<EmailSuppressionInput>,
) -> web::Result<(StatusCode, Json<Suppression>)> {
    let note = input.note.trim();
    if !(1..=500).contains(&note.chars().count()) {
        return Err(Problem::invalid_field("/note", "must be 1 to 500 characters"));
    }
    let now = admin.clock.now();
    let suppression = Suppression {
        note: Some(note.to_owned()),
        ..Suppression::of(input.address, Reason::Manual)
    };
    let mut tx = admin.db.begin().await?;
    let suppression = suppression.insert(&mut tx, now).await?;
    Entry::new(&origin, None, "email_suppression.created", suppression.id)
        .after(json!({ "address": suppression.address, "note": note }))
        .record(&mut tx, now)
        .await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(suppression)))
}

/// Send mail to an address again, as far as nothing else is against it.
#[utoipa::path(delete, path = "/admin/v1/email-suppressions/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "It is off the list")))]
async fn remove_email_suppression(
    State(admin): State<Admin>,
    origin: Origin,
    Path(id): Path<Id<Suppression>>,
) -> web::Result<StatusCode> {
    let mut tx = admin.db.begin().await?;
    let removed = Suppression::remove(&mut tx, id).await?.ok_or_else(|| {
        Problem::not_found("email_suppression_not_found", "there is no such suppression")
    })?;
    Entry::new(&origin, None, "email_suppression.removed", id)
        .before(json!({ "address": removed.address, "reason": removed.reason }))
        .record(&mut tx, admin.clock.now())
        .await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
