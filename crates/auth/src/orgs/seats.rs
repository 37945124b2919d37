use kernel::{Id, Org};
use sqlx::PgExecutor;

/// How many of the seats of `org` are taken.
pub async fn seats_in_use(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "seats!" from memberships where org_id = $1"#,
        org as _,
    )
    .fetch_one(db)
    .await
}
