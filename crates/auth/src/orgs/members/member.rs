use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, Org, User};
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Role;

use crate::{
    Result,
    orgs::MembershipRefused,
    webhook_events::{ApiKeyRevoked, MemberRemoved},
};

/// Somebody in the org.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    #[schema(value_type = String, format = Uuid)]
    pub(super) user_id: Id<User>,
    pub(crate) name: String,
    pub(crate) email: EmailAddress,
    pub(crate) role: Role,
    pub(super) joined_at: DateTime<Utc>,
}

impl Member {
    pub(super) async fn list(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        after: Option<Id<User>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select m.user_id as "user_id: _", u.name, u.email as "email: _", m.role as "role: _",
                      m.created_at as joined_at
               from memberships m
               join users u on u.id = m.user_id
               where m.org_id = $1 and ($2::uuid is null or m.user_id > $2)
               order by m.user_id
               limit $3"#,
            org as _,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    pub(crate) async fn get(db: &mut PgConnection, org: Id<Org>, user: Id<User>) -> Result<Self> {
        let found = sqlx::query_as!(
            Self,
            r#"select m.user_id as "user_id: _", u.name, u.email as "email: _", m.role as "role: _",
                      m.created_at as joined_at
               from memberships m
               join users u on u.id = m.user_id
               where m.org_id = $1 and m.user_id = $2"#,
            org as _,
            user as _,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or_else(|| MembershipRefused::NotFound.into())
    }

    pub(crate) async fn set_role(
        db: &mut PgConnection,
        org: Id<Org>,
        user: Id<User>,
        role: Role,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update memberships set role = $3 where org_id = $1 and user_id = $2",
            org as _,
            user as _,
            role as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Ends this membership of `org` because its person, or `origin` for them, wants to leave.
    pub(in crate::orgs) async fn leave(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        Self::remove(&mut *db, org, self.user_id, now).await?;
        let entry = Entry::new(origin, Some(org), "member.left", self.user_id);
        entry.before(json!({ "role": self.role })).record(&mut *db, now).await?;
        let event = MemberRemoved { user_id: self.user_id, role: self.role, left: true };
        webhooks::emit(db, org, &event, now).await
    }

    /// Ends a membership together with what hangs on it: keys that the person made there stop for
    /// good, and an offer of ownership lapses.
    pub(in crate::orgs) async fn remove(
        db: &mut PgConnection,
        org: Id<Org>,
        user: Id<User>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "delete from memberships where org_id = $1 and user_id = $2",
            org as _,
            user as _
        )
        .execute(&mut *db)
        .await?;
        let keys = sqlx::query_scalar!(
            r#"update api_keys set revoked_at = $3
               where org_id = $1 and user_id = $2 and revoked_at is null
               returning id as "id: _""#,
            org as _,
            user as _,
            now,
        );
        for api_key_id in keys.fetch_all(&mut *db).await? {
            webhooks::emit(&mut *db, org, &ApiKeyRevoked { api_key_id }, now).await?;
        }
        sqlx::query!(
            "delete from ownership_transfers where org_id = $1 and $2 in (from_user, to_user)",
            org as _,
            user as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
