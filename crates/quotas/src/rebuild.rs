use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use uuid::Uuid;

/// A counter that is not what the ledger, the usage records and the calls in flight add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// `budget` or `grant`.
    pub of: String,
    /// Which one.
    pub id: Uuid,
    /// `spent` or `held`; of grants also `revoked` or `clawed_back`.
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
           union all
           select 'grant', id, 'revoked', revoked, left_unspent
           from grant_movements where revoked <> left_unspent
           union all
           select 'grant', id, 'clawed_back', clawed_back, taken_back
           from grant_movements where clawed_back <> taken_back
           order by 1, 2, 3"#,
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
        if it.of == "budget" {
            set_budget(&mut *db, it).await?;
        } else {
            set_grant(&mut *db, it).await?;
        }
    }
    Ok(differences)
}

impl Difference {
    /// What `counter` should show, if that is the one.
    fn of(&self, counter: &str) -> Option<i64> {
        (self.counter == counter).then_some(self.should)
    }
}

async fn set_budget(db: &mut PgConnection, it: &Difference) -> sqlx::Result<()> {
    sqlx::query!(
        "update budgets set spent = coalesce($2, spent), held = coalesce($3, held) where id = $1",
        it.id,
        it.of("spent"),
        it.of("held"),
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn set_grant(db: &mut PgConnection, it: &Difference) -> sqlx::Result<()> {
    sqlx::query!(
        "update grants
         set spent = coalesce($2, spent), held = coalesce($3, held),
             revoked = coalesce($4, revoked), clawed_back = coalesce($5, clawed_back)
         where id = $1",
        it.id,
        it.of("spent"),
        it.of("held"),
        it.of("revoked"),
        it.of("clawed_back"),
    )
    .execute(db)
    .await?;
    Ok(())
}
