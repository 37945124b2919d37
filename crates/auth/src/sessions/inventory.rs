//! Where somebody is signed in, to be looked at and ended.

use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{
    Access, Caller, ClientIp, Credential, Json, Path, Permission, Problem, Query, Role, Routes,
};

use super::Session;
use crate::Auth;

const READ: Permission = Permission { name: "sessions:read", roles: &Role::ALL, keys: false };
const END: Permission = Permission { name: "sessions:end", roles: &Role::ALL, keys: false };

pub(super) fn routes() -> Routes<Auth> {
    let end = Access::to(END).even_in_a_suspended_org();
    Routes::new()
        .route(Access::to(READ).even_in_a_suspended_org(), routes!(list_sessions))
        .route(end, routes!(revoke_session))
        .route(end, routes!(revoke_sessions))
}

/// A device that somebody is signed in on.
#[derive(Serialize, ToSchema)]
struct ActiveSession {
    #[schema(value_type = String, format = Uuid)]
    id: Id<Session>,
    /// The address it was last refreshed from.
    #[schema(example = "203.0.113.7")]
    ip: Option<String>,
    /// What the browser or program calls itself.
    user_agent: Option<String>,
    created_at: DateTime<Utc>,
    /// To within a quarter of an hour: whenever the access token was refreshed.
    last_seen_at: DateTime<Utc>,
    /// When it ends unless it is used before.
    expires_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    current: bool,
}

/// All of them: nobody is signed in on more than a few devices.
#[derive(Serialize, ToSchema)]
struct ActiveSessions {
    items: Vec<ActiveSession>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Keep the session that asks.
    #[serde(default)]
    but_this: bool,
}

impl ActiveSession {
    async fn list(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        current: Option<Id<Session>>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", ip, user_agent, created_at, last_seen_at, expires_at,
                      id is not distinct from $3 as "current!"
               from sessions
               where user_id = $1 and revoked_at is null and expires_at > $2
               order by last_seen_at desc, id
               limit 1000"#,
            user as _,
            now,
            current as _,
        )
        .fetch_all(db)
        .await
    }
}

/// The session of a caller, if it is one.
pub(crate) fn session_of(caller: &Caller) -> Option<Id<Session>> {
    match caller.credential {
        Credential::Session(id) => Some(id.into()),
        Credential::Key { .. } | Credential::Impersonation { .. } => None,
    }
}

/// List the devices that you are signed in on.
#[utoipa::path(get, path = "/v1/sessions", tag = "identity",
    responses((status = 200, body = ActiveSessions)))]
async fn list_sessions(
    State(auth): State<Auth>,
    caller: Caller,
) -> web::Result<Json<ActiveSessions>> {
    let (db, now) = (auth.db.pool(), auth.clock.now());
    let items = ActiveSession::list(db, caller.user, session_of(&caller), now).await?;
    Ok(Json(ActiveSessions { items }))
}

/// Sign a device out: its tokens stop working within a second.
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "identity",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The session has ended")))]
async fn revoke_session(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Path(id): Path<Id<Session>>,
) -> web::Result<StatusCode> {
    let mut tx = auth.db.begin().await?;
    if !Session::revoke_of(&mut *tx, caller.user, id, auth.clock.now()).await? {
        return Err(Problem::not_found("session_not_found", "you have no such session"));
    }
    auth.note(&mut tx, caller.user, ip, "session.revoked").await?;
    tx.commit().await?;
    auth.db.changes().note(id);
    Ok(StatusCode::NO_CONTENT)
}

/// Sign out everywhere, or everywhere else.
#[utoipa::path(delete, path = "/v1/sessions", tag = "identity", params(Which),
    responses((status = 204, description = "The sessions have ended")))]
async fn revoke_sessions(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Query(which): Query<Which>,
) -> web::Result<StatusCode> {
    let keep = session_of(&caller).filter(|_| which.but_this);
    let mut tx = auth.db.begin().await?;
    let ended = Session::revoke_all(&mut tx, caller.user, keep, auth.clock.now()).await?;
    auth.note(&mut tx, caller.user, ip, "sessions.revoked").await?;
    tx.commit().await?;
    for session in ended {
        auth.db.changes().note(session);
    }
    Ok(StatusCode::NO_CONTENT)
}
