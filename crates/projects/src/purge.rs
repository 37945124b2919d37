use chrono::TimeDelta;
use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Projects;

/// Erases what was deleted long enough ago, of all orgs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeProjects {}

impl Job for PurgeProjects {
    const NAME: &'static str = "projects.purge";
    type Context = Projects;

    async fn run(self, projects: Projects) -> anyhow::Result<()> {
        let grace = TimeDelta::days(projects.config.projects_grace_days.into());
        let until = projects.clock.now() - grace;
        loop {
            // Said twice, so that what is restored at the same moment stays.
            let purged = sqlx::query!(
                "delete from projects where deleted_at < $1
                     and id in (select id from projects where deleted_at < $1 limit 100)",
                until,
            )
            .execute(projects.db.pool())
            .await?;
            if purged.rows_affected() == 0 {
                return Ok(());
            }
            tracing::info!(projects = purged.rows_affected(), "what was deleted is erased");
        }
    }
}
