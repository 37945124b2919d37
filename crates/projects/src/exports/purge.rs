use jobs::Job;
use serde::{Deserialize, Serialize};

use super::ProjectExport;
use crate::Projects;

/// Removes archives whose time is over, of all orgs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeProjectExports {}

impl Job for PurgeProjectExports {
    const NAME: &'static str = "projects.purge_exports";
    type Context = Projects;

    async fn run(self, projects: Projects) -> anyhow::Result<()> {
        let db = projects.db.pool();
        for export in ProjectExport::over(db, projects.clock.now()).await? {
            projects.storage.delete(&export.key()).await?;
            export.delete(db).await?;
        }
        Ok(())
    }
}
