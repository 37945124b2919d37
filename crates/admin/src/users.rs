//! The people among the customers.

use audit::Origin;
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, User};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Problem, Query, Routes};

use crate::{Admin, orgs::Finding, reason::Reason};

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(search_users))
        .route(Access::operators(), routes!(show_user))
        .route(Access::operators(), routes!(suspend_user, unsuspend_user))
}

/// Somebody with an account.
#[derive(Serialize, ToSchema)]
#[schema(as = UserSummary)]
struct Summary {
    #[schema(value_type = String, format = Uuid)]
    id: Id<User>,
    name: String,
    email: EmailAddress,
    created_at: DateTime<Utc>,
    /// When they confirmed the address; absent: not yet.
    email_verified_at: Option<DateTime<Utc>>,
    /// Since when the account is suspended.
    suspended_at: Option<DateTime<Utc>>,
    suspension_reason: Option<String>,
}

impl Summary {
    async fn search(
        db: impl PgExecutor<'_>,
        search: &str,
        before: Option<Id<User>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, email as "email: _", created_at, email_verified_at,
                      disabled_at as suspended_at, suspension_reason
               from users
               where ($1 = '' or position(lower($1) in lower(name)) > 0
                      or position(lower($1) in lower(email)) > 0)
                 and ($2::uuid is null or id < $2)
               order by id desc
               limit $3"#,
            search,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    async fn get(db: impl PgExecutor<'_>, id: Id<User>) -> web::Result<Self> {
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, email as "email: _", created_at, email_verified_at,
                      disabled_at as suspended_at, suspension_reason
               from users
               where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or_else(not_found)
    }
}

fn not_found() -> Problem {
    Problem::not_found("user_not_found", "there is no such person")
}

/// Find people by name or address, the newest first.
#[utoipa::path(get, path = "/admin/v1/users", tag = "operators", params(Finding),
    responses((status = 200, body = Page<Summary>)))]
async fn search_users(
    State(admin): State<Admin>,
    Query(query): Query<Finding>,
) -> web::Result<Json<Page<Summary>>> {
    let page: PageQuery = query.page();
    let (before, rows) = (page.after()?, page.rows()?);
    let rows = Summary::search(admin.db.pool(), query.text(), before, rows).await?;
    Ok(Json(Page::new(&page, rows, |user| user.id)))
}

/// Show somebody's account.
#[utoipa::path(get, path = "/admin/v1/users/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Summary)))]
async fn show_user(
    State(admin): State<Admin>,
    Path(id): Path<Id<User>>,
) -> web::Result<Json<Summary>> {
    Ok(Json(Summary::get(admin.db.pool(), id).await?))
}

/// Suspend an account: its sessions end, its API keys rest, within a second and everywhere.
#[utoipa::path(put, path = "/admin/v1/users/{id}/suspension", tag = "operators", request_body = Reason,
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Summary)))]
async fn suspend_user(
    State(admin): State<Admin>,
    Path(id): Path<Id<User>>,
    origin: Origin,
    Json(reason): Json<Reason>,
) -> web::Result<Json<Summary>> {
    admin.auth.suspend_user(id, reason.text()?, &origin).await?;
    Ok(Json(Summary::get(admin.db.pool(), id).await?))
}

/// Open a suspended account again. Its people sign in anew; its API keys work again.
#[utoipa::path(delete, path = "/admin/v1/users/{id}/suspension", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The account is open")))]
async fn unsuspend_user(
    State(admin): State<Admin>,
    Path(id): Path<Id<User>>,
    origin: Origin,
) -> web::Result<StatusCode> {
    if admin.auth.unsuspend_user(id, &origin).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found("not_suspended", "there is no suspended account with this id"))
}
