use chrono::{DateTime, Utc};
use kernel::Id;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;
use web::Operator;

use crate::{Device, lifetimes, secrets::secret};

const PREFIX: &str = "slop_";

/// Whether `text` can be an operator's token. No customer's token looks like one, and none of theirs
/// like a customer's.
pub(crate) fn is_well_formed(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == 43 && rest.is_ascii())
}

/// Starts a session; answers the token and when it ends, whatever happens.
pub(crate) async fn start(
    db: &mut PgConnection,
    operator: Id<Operator>,
    device: &Device,
    now: DateTime<Utc>,
) -> sqlx::Result<(String, DateTime<Utc>)> {
    let token = format!("{PREFIX}{}", secret::random());
    let expires_at = now + lifetimes::OPERATOR_SESSION;
    sqlx::query!(
        "insert into operator_sessions
             (id, operator_id, hash, ip, user_agent, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        Uuid::now_v7(),
        operator as _,
        &secret::hash(&token),
        device.ip.to_string(),
        device.user_agent,
        now,
        expires_at,
    )
    .execute(db)
    .await?;
    Ok((token, expires_at))
}

/// A session that holds.
pub(crate) struct Holding {
    pub(crate) operator: Id<Operator>,
    pub(crate) session: Uuid,
    /// When both factors were proved.
    pub(crate) began_at: DateTime<Utc>,
}

/// Whose token this is the hash of, if it still holds. There are few operators, so each request asks.
pub(crate) async fn find(
    db: impl PgExecutor<'_>,
    hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Holding>> {
    sqlx::query_as!(
        Holding,
        r#"select s.operator_id as "operator: _", s.id as session, s.created_at as began_at
           from operator_sessions s
           join operators o on o.id = s.operator_id and o.disabled_at is null
           where s.hash = $1 and s.revoked_at is null and s.expires_at > $2"#,
        hash,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Ends one session.
pub(crate) async fn revoke(
    db: &mut PgConnection,
    session: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update operator_sessions set revoked_at = $2 where id = $1 and revoked_at is null",
        session,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Ends every session of an operator.
pub(crate) async fn revoke_all(
    db: &mut PgConnection,
    operator: Id<Operator>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update operator_sessions set revoked_at = $2 where operator_id = $1 and revoked_at is null",
        operator as _,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
