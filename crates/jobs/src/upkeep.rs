use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::Job;

/// Removes what is left of jobs that another with their key has replaced while they ran.
#[derive(Debug, Serialize, Deserialize)]
pub struct Upkeep {}

impl Job for Upkeep {
    const NAME: &'static str = "jobs.upkeep";
    type Context = PgPool;

    async fn run(self, db: PgPool) -> anyhow::Result<()> {
        sqlx::query(
            "delete from graphile_worker._private_jobs job
             using graphile_worker._private_job_retirements it
             where it.id = job.id and job.locked_at is null",
        )
        .execute(&db)
        .await?;
        Ok(())
    }
}
