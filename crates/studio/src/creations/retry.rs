use kernel::Id;
use org_jobs::{By, OrgJob};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use web::{Caller, Problem};

use super::{
    creation::Creation,
    make::{Make, not_kept},
    step::{Step, StepName, StepStatus},
};
use crate::{Studio, text};

/// The longest plan of somebody's own, in characters.
const LONGEST_PLAN: usize = 20_000;

/// How a step is to be taken anew.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryInput {
    /// A plan of your own, which the result then follows.
    #[schema(max_length = 20_000)]
    plan: Option<String>,
}

impl Studio {
    /// Takes a step anew, and those after it, as a job of its own. What was answered before is charged already, and
    /// replaced.
    pub(super) async fn retry(
        &self,
        caller: &Caller,
        (id, step): (Id<Creation>, StepName),
        input: RetryInput,
    ) -> web::Result<OrgJob> {
        if let Some(plan) = &input.plan {
            text::check(plan, LONGEST_PLAN, "/plan")?;
            if step == StepName::Plan {
                let detail = "must not be given where the plan is made anew";
                return Err(Problem::invalid_field("/plan", detail));
            }
        }
        // In a transaction of the org's, so that another org's creation is none.
        let mut tenant = self.db.tenant(caller.org).await?;
        Creation::get(&mut tenant, caller.user, id).await?;
        drop(tenant);
        let mut tx = self.db.begin().await?;
        Creation::lock(&mut tx, caller.user, id).await?;
        ready(&mut tx, id, step).await?;
        Step::reset(&mut tx, id, step).await?;
        let job = self.jobs.queue(&mut tx, By::from(caller), &[Make { creation: id }]).await?;
        sqlx::query!(
            "with plan as (
                 update creation_steps set output = $4, model = null, call_id = null, cost_nano_usd = null
                 where creation_id = $1 and step = 'plan' and $4::text is not null)
             update creations
             set job_id = $2, position = 0, quality = null, quality_reasons = '{}', stars = null, note = null,
                 updated_at = $3
             where id = $1",
            id as _,
            job.id as _,
            self.clock.now(),
            input.plan,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(job)
    }
}

/// Refuses a step before which there is nothing to begin with.
async fn ready(db: &mut PgConnection, id: Id<Creation>, step: StepName) -> web::Result<()> {
    let brief = sqlx::query_scalar!("select brief from creations where id = $1", id as _);
    brief.fetch_one(&mut *db).await?.ok_or_else(not_kept)?;
    let steps = Step::list(db, id).await?;
    let waits = |it: &Step| it.name < step && it.status != StepStatus::Answered;
    if steps.iter().any(waits) {
        let detail = "the step before it has no answer";
        return Err(Problem::conflict("step_not_ready", detail).action("Retry that one first."));
    }
    Ok(())
}
