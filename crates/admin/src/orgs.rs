use axum::extract::State;
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::Status;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Json, Path, Problem, Query, Routes};

use crate::Admin;

/// Who asks for more means a narrower search.
const MOST: i64 = 50;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(search_orgs))
        .route(Access::operators(), routes!(show_org))
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
}

/// An org and what it may still use.
#[derive(Serialize, ToSchema)]
struct OrgDetail {
    #[serde(flatten)]
    org: Summary,
    /// Plan, credits and budgets.
    quotas: Status,
}

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OrgSearch {
    /// A part of the org's name, or of the address of somebody in it.
    search: String,
}

impl Summary {
    /// Those of which `search` is a part of the name or of a member's address.
    async fn search(db: impl PgExecutor<'_>, search: &str) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select o.id as "id: _", o.name, o.created_at,
                      (select u.email from memberships m join users u on u.id = m.user_id
                       where m.org_id = o.id and m.role = 'owner' order by m.created_at limit 1) as owner
               from orgs o
               where position(lower($1) in lower(o.name)) > 0
                  or exists (select from memberships m join users u on u.id = m.user_id
                             where m.org_id = o.id and position(lower($1) in lower(u.email)) > 0)
               order by o.id desc
               limit $2"#,
            search,
            MOST,
        )
        .fetch_all(db)
        .await
    }

    async fn find(db: impl PgExecutor<'_>, id: Id<Org>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select o.id as "id: _", o.name, o.created_at,
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

/// Find orgs by name or by a member's address, the newest first, at most 50.
#[utoipa::path(get, path = "/admin/v1/orgs", tag = "operators", params(OrgSearch),
    responses((status = 200, body = Vec<Summary>)))]
async fn search_orgs(
    State(admin): State<Admin>,
    Query(query): Query<OrgSearch>,
) -> web::Result<Json<Vec<Summary>>> {
    Ok(Json(Summary::search(admin.db.pool(), query.search.trim()).await?))
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
