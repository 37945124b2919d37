use audit::Origin;
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::Status;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Problem, Query, Routes};

use crate::{Admin, reason::Reason};

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(search_orgs))
        .route(Access::operators(), routes!(show_org))
        .route(Access::operators(), routes!(suspend_org, unsuspend_org))
}

/// An org, to be recognised.
#[derive(Serialize, ToSchema)]
#[schema(as = OrgSummary)]
pub(crate) struct Summary {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    id: Id<Org>,
    /// What its people call it.
    name: String,
    /// Its owner's address.
    owner: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Since when it is suspended.
    suspended_at: Option<DateTime<Utc>>,
    suspension_reason: Option<String>,
}

/// An org and what it may still use.
#[derive(Serialize, ToSchema)]
struct OrgDetail {
    #[serde(flatten)]
    org: Summary,
    /// Plan, credits and budgets.
    quotas: Status,
}

/// What to look for; absent: all.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Finding {
    /// A part of the name, or of somebody's address.
    #[serde(default)]
    search: String,
    /// Items per page.
    #[serde(default = "Finding::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Finding {
    fn default_limit() -> u16 {
        20
    }

    pub(crate) fn text(&self) -> &str {
        self.search.trim()
    }

    pub(crate) fn page(&self) -> PageQuery {
        PageQuery { limit: self.limit, cursor: self.cursor.clone() }
    }
}

impl Summary {
    /// Those of which `search` is a part of the name or of a member's address.
    async fn search(
        db: impl PgExecutor<'_>,
        search: &str,
        before: Option<Id<Org>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select o.id as "id: _", o.name, o.created_at, o.suspended_at, o.suspension_reason,
                      (select u.email from memberships m join users u on u.id = m.user_id
                       where m.org_id = o.id and m.role = 'owner' order by m.created_at limit 1) as owner
               from orgs o
               where ($1 = '' or position(lower($1) in lower(o.name)) > 0
                      or exists (select from memberships m join users u on u.id = m.user_id
                                 where m.org_id = o.id and position(lower($1) in lower(u.email)) > 0))
                 and ($2::uuid is null or o.id < $2)
               order by o.id desc
               limit $3"#,
            search,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    async fn find(db: impl PgExecutor<'_>, id: Id<Org>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select o.id as "id: _", o.name, o.created_at, o.suspended_at, o.suspension_reason,
                      (select u.email from memberships m join users u on u.id = m.user_id
                       where m.org_id = o.id and m.role = 'owner' order by m.created_at limit 1) as owner
               from orgs o
               where o.id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// The org, or the answer that there is none.
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Org>) -> web::Result<Self> {
        let org = Self::find(db, id).await?;
        org.ok_or_else(|| Problem::not_found("org_not_found", "there is no such organization"))
    }
}

/// Find orgs by name or by a member's address, the newest first.
#[utoipa::path(get, path = "/admin/v1/orgs", tag = "operators", params(Finding),
    responses((status = 200, body = Page<Summary>)))]
async fn search_orgs(
    State(admin): State<Admin>,
    Query(query): Query<Finding>,
) -> web::Result<Json<Page<Summary>>> {
    let page = query.page();
    let (before, rows) = (page.after()?, page.rows()?);
    let rows = Summary::search(admin.db.pool(), query.text(), before, rows).await?;
    Ok(Json(Page::new(&page, rows, |org| org.id)))
}

/// Show an org: its plan, credits and budgets.
#[utoipa::path(get, path = "/admin/v1/orgs/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = OrgDetail)))]
async fn show_org(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
) -> web::Result<Json<OrgDetail>> {
    let mut db = admin.db.pool().acquire().await?;
    let org = Summary::get(&mut *db, id).await?;
    let quotas = Status::of(&mut db, id, admin.clock.now()).await?;
    Ok(Json(OrgDetail { org, quotas }))
}

/// Suspend an org: no person and no API key acts in it, within a second and everywhere.
#[utoipa::path(put, path = "/admin/v1/orgs/{id}/suspension", tag = "operators", request_body = Reason,
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Summary)))]
async fn suspend_org(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    origin: Origin,
    Json(reason): Json<Reason>,
) -> web::Result<Json<Summary>> {
    admin.auth.suspend_org(id, reason.text()?, &origin).await?;
    Ok(Json(Summary::get(admin.db.pool(), id).await?))
}

/// Open a suspended org again.
#[utoipa::path(delete, path = "/admin/v1/orgs/{id}/suspension", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The organization is open")))]
async fn unsuspend_org(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    origin: Origin,
) -> web::Result<StatusCode> {
    if admin.auth.unsuspend_org(id, &origin).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::not_found("not_suspended", "there is no suspended organization with this id"))
}
