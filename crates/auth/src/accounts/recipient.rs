use kernel::{EmailAddress, Id, Org, User};
use sqlx::PgExecutor;

/// Somebody to be told something by mail.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Where.
    pub email: EmailAddress,
    /// Their account, unless they are an operator.
    pub user: Option<Id<User>>,
    /// Whom to greet.
    pub name: String,
}

impl Recipient {
    /// Somebody with an account that is not suspended.
    pub async fn person(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select email as "email: _", id as "user: _", name from users
               where id = $1 and disabled_at is null"#,
            user as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Somebody, if they still belong to `org`.
    pub async fn member(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        user: Id<User>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select u.email as "email: _", u.id as "user: _", u.name
               from memberships m
               join users u on u.id = m.user_id and u.disabled_at is null
               where m.org_id = $1 and u.id = $2"#,
            org as _,
            user as _,
        )
        .fetch_optional(db)
        .await
    }

    /// The owners of `org`.
    pub async fn owners(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select u.email as "email: _", u.id as "user: _", u.name
               from memberships m
               join users u on u.id = m.user_id and u.disabled_at is null
               where m.org_id = $1 and m.role = 'owner'
               order by u.id"#,
            org as _,
        )
        .fetch_all(db)
        .await
    }

    /// Those of `org` whose address is confirmed, in the order of their ids after `after`.
    pub async fn members(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        after: Id<User>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select u.email as "email: _", u.id as "user: _", u.name
               from memberships m
               join users u on u.id = m.user_id and u.disabled_at is null
               where m.org_id = $1 and u.id > $2 and u.email_verified_at is not null
               order by u.id
               limit $3"#,
            org as _,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// Those of `org` who may pay.
    pub async fn payers(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select u.email as "email: _", u.id as "user: _", u.name
               from memberships m
               join users u on u.id = m.user_id and u.disabled_at is null
               where m.org_id = $1 and m.role in ('owner', 'admin', 'billing')
               order by u.id"#,
            org as _,
        )
        .fetch_all(db)
        .await
    }

    /// Everybody who runs the product.
    pub async fn operators(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select email as "email: _", null::uuid as "user: _", '' as "name!"
               from operators
               where enrolled_at is not null and disabled_at is null
               order by id"#,
        )
        .fetch_all(db)
        .await
    }
}
