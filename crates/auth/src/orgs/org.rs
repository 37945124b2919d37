use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Role;

/// Somebody's place in an org.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) org: Id<Org>,
    pub(crate) role: Role,
}

/// The org a caller acts in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CurrentOrg {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Org>,
    pub(crate) name: String,
}

impl Membership {
    /// Makes an org, and its owner.
    pub(super) async fn of_new_org(
        db: &mut PgConnection,
        user: Id<User>,
        name: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Id<Org>> {
        let org = Id::<Org>::new();
        sqlx::query!(
            "with org as (insert into orgs (id, name, created_at) values ($1, $2, $3))
             insert into memberships (org_id, user_id, role, created_at) values ($1, $4, 'owner', $3)",
            org as _,
            name,
            now,
            user as _,
        )
        .execute(db)
        .await?;
        Ok(org)
    }

    /// The one that signing in leads to: the oldest that is not suspended.
    pub(crate) async fn first_of(
        db: impl PgExecutor<'_>,
        user: Id<User>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select m.org_id as "org: _", m.role as "role: _"
               from memberships m
               join orgs o on o.id = m.org_id
               where m.user_id = $1
               order by o.suspended_at is not null, m.created_at, m.org_id
               limit 1"#,
            user as _,
        )
        .fetch_optional(db)
        .await
    }

    /// What `user` is in `org`; `None` if nothing any more, or nothing anywhere.
    pub(crate) async fn active(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        org: Id<Org>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select m.org_id as "org: _", m.role as "role: _"
               from memberships m
               join users u on u.id = m.user_id and u.disabled_at is null
               where m.user_id = $1 and m.org_id = $2"#,
            user as _,
            org as _,
        )
        .fetch_optional(db)
        .await
    }
}

impl CurrentOrg {
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Org>) -> sqlx::Result<Self> {
        sqlx::query_as!(Self, r#"select id as "id: _", name from orgs where id = $1"#, id as _)
            .fetch_one(db)
            .await
    }
}
