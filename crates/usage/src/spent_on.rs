use std::collections::HashMap;

use sqlx::PgExecutor;
use uuid::Uuid;

/// What was spent on something so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How many calls were made.
    pub calls: i64,
    /// What they cost the customer.
    pub cost_nano_usd: i64,
}

/// What was spent on each of `ids`, which calls named as their project, in the org whose transaction this is: from the
/// roll-ups and, in the same snapshot, the calls that are not in them yet. Nothing was spent on those left out.
pub async fn spent_on(db: impl PgExecutor<'_>, ids: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Spent>> {
    let spent = sqlx::query!(
        r#"select project_id as "id!", sum(calls)::bigint as "calls!",
                  sum(cost_nano_usd)::bigint as "cost_nano_usd!"
           from (
               select project_id, calls, cost_nano_usd, paid_by
               from usage_rollups
               where org_id = current_org() and detail and grain = 1440
                 and project_id is not null and project_id = any($1)
               union all
               select project_id, 1, cost_nano_usd, paid_by
               from usage_fresh_of(current_org())
               where project_id = any($1)
           ) line
           where paid_by <> 'platform'
           group by project_id"#,
        ids,
    );
    let spent = spent.fetch_all(db).await?.into_iter();
    let spent = spent.map(|it| (it.id, Spent { calls: it.calls, cost_nano_usd: it.cost_nano_usd }));
    Ok(spent.collect())
}
