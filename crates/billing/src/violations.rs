use quotas::Violation;
use sqlx::PgExecutor;

/// Every broken rule of the books of money. They are right when there is none.
pub async fn violations(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Violation>> {
    sqlx::query_as!(
        Violation,
        r#"select rule as "rule!", subject as "subject!", detail as "detail!" from money_violations"#,
    )
    .fetch_all(db)
    .await
}
