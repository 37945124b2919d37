use kernel::Id;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Budget, Grant};

/// A counter that is not what the ledger, the usage records and the calls in flight add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// `budget` or `grant`.
    pub of: String,
    /// Which one.
    pub id: Uuid,
    /// `spent` or `held`.
    pub counter: String,
    /// What it shows.
    pub shows: i64,
    /// What it should show.
    pub should: i64,
}

/// Every counter that is wrong. It reads all usage records of the running periods.
pub async fn differences(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Difference>> {
    sqlx::query_as!(
        Difference,
        r#"select of as "of!", id as "id!", counter as "counter!", shows as "shows!", should as "should!"
           from counter_differences
           order by of, id, counter"#,
    )
    .fetch_all(db)
    .await
}

/// Sets every counter that is wrong right; answers what differed. No call is reserved or settled
/// until the transaction ends.
pub async fn rebuild(db: &mut PgConnection) -> sqlx::Result<Vec<Difference>> {
    sqlx::query!("lock table holds, budgets, grants in share row exclusive mode")
        .execute(&mut *db)
        .await?;
    let differences = differences(&mut *db).await?;
    for it in &differences {
        let spent = (it.counter == "spent").then_some(it.should);
        let held = (it.counter == "held").then_some(it.should);
        if it.of == "budget" {
            set_budget(&mut *db, it.id.into(), spent, held).await?;
        } else {
            set_grant(&mut *db, it.id.into(), spent, held).await?;
        }
    }
    Ok(differences)
}

async fn set_budget(
    db: &mut PgConnection,
    id: Id<Budget>,
    spent: Option<i64>,
    held: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update budgets set spent = coalesce($2, spent), held = coalesce($3, held) where id = $1",
        id as _,
        spent,
        held,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn set_grant(
    db: &mut PgConnection,
    id: Id<Grant>,
    spent: Option<i64>,
    held: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update grants set spent = coalesce($2, spent), held = coalesce($3, held) where id = $1",
        id as _,
        spent,
        held,
    )
    .execute(db)
    .await?;
    Ok(())
}
