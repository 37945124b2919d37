use assets::Asset;
use chrono::TimeDelta;
use futures::TryStreamExt;
use kernel::{Id, Org};
use org_jobs::{By, Progress, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use storage::Archive;
use web::Problem;

use super::ProjectExport;
use crate::{Error, Project, Projects};

/// Makes an archive of a project.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MakeProjectExport {
    pub(crate) project: Id<Project>,
}

impl Work for MakeProjectExport {
    const KIND: &'static str = "projects.exports";
    type Context = Projects;

    async fn run(self, by: By, progress: Progress, projects: Projects) -> Result<Value, Problem> {
        progress.report(0, "packing").await?;
        let now = projects.clock.now();
        let expires_at = now + TimeDelta::days(projects.config.projects_export_days.into());
        let export = ProjectExport { id: Id::new(), org: by.org, expires_at };
        let mut tx = projects.db.tenant(by.org).await?;
        let project = Project::get(&mut *tx, self.project).await?;
        export.insert(&mut tx, self.project, now).await?;
        tx.commit().await?;

        let mut archive = Archive::new(projects.storage.writer(&export.key()));
        if let Err(error) = projects.pack(&mut archive, by.org, &project).await {
            archive.abandon().await;
            return Err(Problem::unavailable(error));
        }
        let bytes = archive.finish().await.map_err(Problem::unavailable)?;
        let bytes = i64::try_from(bytes).map_err(Problem::internal)?;
        let mut tx = projects.db.tenant(by.org).await?;
        export.finish(&mut tx, bytes).await?;
        tx.commit().await?;
        let path = format!("/v1/project-exports/{}/archive", export.id);
        Ok(json!({ "path": path, "bytes": bytes, "expires_at": expires_at }))
    }
}

impl Projects {
    /// What it is, what it says, what it said, and its cover.
    async fn pack(
        &self,
        archive: &mut Archive,
        org: Id<Org>,
        project: &Project,
    ) -> anyhow::Result<()> {
        archive.begin("project.json")?;
        archive.write(&serde_json::to_vec_pretty(project)?).await?;
        archive.begin("text.txt")?;
        archive.write(project.text.as_bytes()).await?;
        let mut tx = self.db.tenant(org).await?;
        pack_versions(archive, &mut tx, project.id).await?;
        let Some(id) = project.cover_id else { return Ok(()) };
        let cover = match Asset::get(&mut *tx, id).await {
            // Somebody has deleted it in the meantime.
            Err(assets::Error::NotFound) => return Ok(()),
            cover => cover?,
        };
        drop(tx);
        let mut content = self.storage.reader(&Asset::key(org, id)).await?;
        archive.begin(&cover.content_type.replace("image/", "cover."))?;
        while let Some(piece) = content.try_next().await? {
            archive.write(&piece).await?;
        }
        Ok(())
    }
}

async fn pack_versions(
    archive: &mut Archive,
    db: &mut PgConnection,
    project: Id<Project>,
) -> anyhow::Result<()> {
    let mut versions = sqlx::query!(
        "select version, text from project_versions where project_id = $1 order by version",
        project as _,
    )
    .fetch(db);
    while let Some(it) = versions.try_next().await.map_err(Error::from)? {
        archive.begin(&format!("versions/{}.txt", it.version))?;
        archive.write(it.text.as_bytes()).await?;
    }
    Ok(())
}
