use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection, error::ErrorKind, raw_sql};

/// Makes the monthly partitions of `table` from the month of `now` to `ahead` months later.
///
/// A default partition, made by the table's migration, takes rows outside of them, so that a late
/// run of this never refuses a row. A month that has rows there keeps them there.
pub async fn create_partitions(
    db: &mut PgConnection,
    table: &'static str,
    now: DateTime<Utc>,
    ahead: u32,
) -> sqlx::Result<()> {
    let first = now.date_naive().with_day(1).unwrap_or(NaiveDate::MIN);
    for (start, end) in (0..=ahead).filter_map(|n| {
        Some((
            first.checked_add_months(Months::new(n))?,
            first.checked_add_months(Months::new(n + 1))?,
        ))
    }) {
        let name = format!("{table}_{}", start.format("%Y_%m"));
        let statement = format!(
            "create table if not exists {name} partition of {table}
             for values from ('{start}') to ('{end}')"
        );
        let mut made = db.begin().await?;
        match raw_sql(AssertSqlSafe(statement)).execute(&mut *made).await {
            Ok(_) => made.commit().await?,
            Err(error) if violates_check(&error) => {
                tracing::warn!(name, "rows of this month are in the default partition");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn violates_check(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|it| it.kind() == ErrorKind::CheckViolation)
}
