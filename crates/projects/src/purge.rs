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
        let purged = sqlx::query!("delete from projects where deleted_at < $1", until)
            .execute(projects.db.pool())
            .await?;
        tracing::info!(projects = purged.rows_affected(), "what was deleted is erased");
        Ok(())
    }
}
