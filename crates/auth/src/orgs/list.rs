//! The orgs that somebody belongs to.

use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Permission, Query, Role, Routes};

use super::founding;
use crate::{Auth, Name, Result};

pub(super) const READ: Permission = Permission::read("orgs:read");
const CREATE: Permission = Permission { name: "orgs:create", roles: &Role::ALL, keys: false };

pub(super) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::to(READ).even_in_a_suspended_org(), routes!(list_orgs))
        .route(Access::to(CREATE), routes!(create_org))
}

/// An org, and what one is in it.
#[derive(Debug, Serialize, ToSchema)]
struct MyOrg {
    #[schema(value_type = String, format = Uuid)]
    id: Id<Org>,
    #[schema(example = "Acme")]
    name: String,
    role: Role,
    /// Whether operators have suspended it.
    suspended: bool,
    /// When one joined it.
    joined_at: DateTime<Utc>,
}

/// An org to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrg {
    #[schema(min_length = 1, max_length = 100, example = "Acme")]
    name: String,
}

impl MyOrg {
    async fn list(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        only: Option<Id<Org>>,
        query: &PageQuery,
    ) -> web::Result<Vec<Self>> {
        let after: Option<Id<Org>> = query.after()?;
        let rows = sqlx::query_as!(
            Self,
            r#"select o.id as "id: _", o.name, m.role as "role: _",
                      o.suspended_at is not null as "suspended!", m.created_at as joined_at
               from memberships m
               join orgs o on o.id = m.org_id
               where m.user_id = $1 and ($2::uuid is null or o.id = $2)
                 and ($3::uuid is null or o.id > $3)
               order by o.id
               limit $4"#,
            user as _,
            only as _,
            after as _,
            query.rows()?,
        )
        .fetch_all(db)
        .await?;
        Ok(rows)
    }
}

/// List the orgs that you belong to. An API key sees its own only.
#[utoipa::path(get, path = "/v1/orgs", tag = "organizations", params(PageQuery),
    responses((status = 200, body = Page<MyOrg>)))]
async fn list_orgs(
    State(auth): State<Auth>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<MyOrg>>> {
    let person = matches!(caller.credential, web::Credential::Session(_));
    let only = (!person).then_some(caller.org);
    let rows = MyOrg::list(auth.db.pool(), caller.user, only, &query).await?;
    Ok(Json(Page::new(&query, rows, |org| org.id)))
}

/// Make an org, which you own. Act in it by sending its id as `X-Slipway-Org`.
#[utoipa::path(post, path = "/v1/orgs", tag = "organizations", request_body = NewOrg,
    responses((status = 201, body = MyOrg)))]
async fn create_org(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Json(new): Json<NewOrg>,
) -> web::Result<(StatusCode, Json<MyOrg>)> {
    let org = auth.create_org(caller.user, &Name::new(&new.name)?, &origin).await?;
    Ok((StatusCode::CREATED, Json(org)))
}

impl Auth {
    async fn create_org(&self, user: Id<User>, name: &Name, origin: &Origin) -> Result<MyOrg> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        founding::check_may_own_another(&mut tx, user).await?;
        let id = self.found_org(&mut tx, user, name.as_str(), now).await?;
        let entry = Entry::new(origin, Some(id), "org.created", id);
        entry.after(json!({ "name": name.as_str() })).record(&mut tx, now).await?;
        tx.commit().await?;
        let name = name.as_str().to_owned();
        Ok(MyOrg { id, name, role: Role::Owner, suspended: false, joined_at: now })
    }
}
