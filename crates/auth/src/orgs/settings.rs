//! What an org is called.

use audit::{Entry, Origin};
use axum::extract::State;
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Etag, IfMatch, Json, Permission, Routes};

use super::{Seats, list::READ};
use crate::{Auth, Name};

const WRITE: Permission = Permission::manage("orgs:write").people_only();

pub(super) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::to(READ), routes!(show_current_org))
        .route(Access::to(WRITE), routes!(change_current_org))
}

/// The org that the caller acts in.
#[derive(Serialize, ToSchema)]
#[schema(as = OrgSettings)]
struct Settings {
    #[schema(value_type = String, format = Uuid)]
    id: Id<Org>,
    name: String,
    /// In which days and months begin.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// How many people belong to it.
    seats_taken: i64,
    /// How many may.
    seats: i64,
    created_at: DateTime<Utc>,
    #[serde(skip)]
    version: i64,
}

/// What to call it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrgChanges {
    #[schema(min_length = 1, max_length = 100, example = "Acme")]
    name: String,
}

struct Row {
    name: String,
    time_zone: String,
    version: i64,
    created_at: DateTime<Utc>,
}

impl Row {
    async fn get(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            "select name, time_zone, version, created_at from orgs where id = $1",
            org as _,
        )
        .fetch_one(db)
        .await
    }
}

/// Show the org that you act in.
#[utoipa::path(get, path = "/v1/org", tag = "organizations", responses((status = 200, body = Settings)))]
async fn show_current_org(
    State(auth): State<Auth>,
    caller: Caller,
) -> web::Result<(Etag, Json<Settings>)> {
    let mut tx = auth.db.begin().await?;
    let Row { name, time_zone, version, created_at } = Row::get(&mut *tx, caller.org).await?;
    let Seats { taken, total } = Seats::of(&mut tx, caller.org).await?;
    tx.commit().await?;
    let (seats_taken, seats) = (taken, total);
    let settings =
        Settings { id: caller.org, name, time_zone, seats_taken, seats, created_at, version };
    Ok((Etag(settings.version), Json(settings)))
}

/// Rename the org that you act in, if it is still the version named by `If-Match`.
#[utoipa::path(patch, path = "/v1/org", tag = "organizations", request_body = OrgChanges,
    params(("If-Match" = Option<String>, Header)), responses((status = 200, body = Settings)))]
async fn change_current_org(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    if_match: IfMatch,
    Json(changes): Json<OrgChanges>,
) -> web::Result<(Etag, Json<Settings>)> {
    let (name, now) = (Name::new(&changes.name)?, auth.clock.now());
    let mut tx = auth.db.tenant(caller.org).await?;
    let before = sqlx::query!(
        "select name, version from orgs where id = $1 for no key update",
        caller.org as _,
    )
    .fetch_one(&mut *tx)
    .await?;
    if_match.check(before.version)?;
    sqlx::query!(
        "update orgs set name = $2, version = version + 1 where id = $1",
        caller.org as _,
        name.as_str(),
    )
    .execute(&mut *tx)
    .await?;
    Entry::new(&origin, Some(caller.org), "org.renamed", caller.org)
        .before(json!({ "name": before.name }))
        .after(json!({ "name": name.as_str() }))
        .record(&mut tx, now)
        .await?;
    tx.commit().await?;
    show_current_org(State(auth), caller).await
}
