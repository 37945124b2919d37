use std::pin::pin;

use anyhow::{Context, ensure};
use app::PersonalData;
use chrono::TimeDelta;
use email::Notice;
use futures::TryStreamExt;
use jobs::{Enqueue, Job};
use kernel::{EmailAddress, Id};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};
use storage::Archive;

use super::{Export, ExportReady, ExportStatus};
use crate::{Privacy, subject::Subject};

/// Objects that are copies themselves, and what is on its way to become a file.
const LEFT_OUT: [&str; 2] = ["exports/", "uploads/"];
/// How long a copy waits for another one that is being made.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Makes a copy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MakeExport {
    pub(crate) export: Id<Export>,
}

impl Job for MakeExport {
    const NAME: &'static str = "privacy.make_export";
    const SLOW: bool = true;
    type Context = Privacy;

    async fn run(self, privacy: Privacy) -> anyhow::Result<()> {
        let db = privacy.db.pool();
        let Some(export) = Export::find(db, self.export).await? else { return Ok(()) };
        if export.status != ExportStatus::Queued {
            return Ok(());
        }
        if !export.is_permitted(db).await? {
            return Ok(export.give_up(db, privacy.clock.now()).await?);
        }
        // It may take hours, in a slot that the jobs of customers wait for.
        let Ok(_turn) = privacy.turns.try_acquire() else {
            let later = Enqueue::new(&self).after(PAUSE);
            later.send(&mut *db.acquire().await?).await?;
            return Ok(());
        };
        let mut archive = Archive::new(privacy.storage.writer(&export.key()));
        match privacy.fill(&mut archive, export.subject()).await {
            Ok(()) => {
                let bytes = archive.finish().await?;
                privacy.show(&export, i64::try_from(bytes)?).await?;
                // Whoever was given up for dead leaves no copy that nobody knows.
                let now = Export::find(db, self.export).await?;
                if now.is_none_or(|export| export.status != ExportStatus::Ready) {
                    privacy.storage.delete(&export.key()).await?;
                }
                Ok(())
            }
            Err(error) => {
                archive.abandon().await;
                Err(error)
            }
        }
    }
}

impl Privacy {
    /// Everything that is exported, as of one moment: a file of JSON for each table, then the objects.
    async fn fill(&self, archive: &mut Archive, subject: Subject) -> anyhow::Result<()> {
        let begin =
            "begin isolation level repeatable read read only; set local statement_timeout = '1h'";
        let mut tx = self.db.pool().begin_with(begin).await?;
        for table in self.tables.iter() {
            go_on()?;
            copy_table(archive, &mut tx, table, subject)
                .await
                .with_context(|| format!("copy {}", table.table))?;
        }
        tx.rollback().await?;
        let mut objects = pin!(self.storage.list(&subject.objects()));
        while let Some(object) = objects.try_next().await? {
            go_on()?;
            let name = object.key.local_name();
            if LEFT_OUT.iter().any(|kind| name.starts_with(kind)) {
                continue;
            }
            let mut content = match self.storage.reader(&object.key).await {
                // Somebody has deleted it in the meantime.
                Err(storage::Error::NotFound) => continue,
                content => content?,
            };
            archive.begin(&format!("files/{name}"))?;
            while let Some(piece) = content.try_next().await? {
                archive.write(&piece).await?;
            }
        }
        Ok(())
    }

    /// Says that it is ready, once.
    async fn show(&self, export: &Export, bytes: i64) -> anyhow::Result<()> {
        let now = self.clock.now();
        let expires_at = now + self.config.exports_last();
        let mut tx = self.db.begin().await?;
        let shown = sqlx::query!(
            "update data_exports set status = 'ready', bytes = $2, finished_at = $3, expires_at = $4
             where id = $1 and status = 'queued'",
            export.id as _,
            bytes,
            now,
            expires_at,
        )
        .execute(&mut *tx)
        .await?;
        if shown.rows_affected() == 1 {
            let reader = sqlx::query!(
                r#"select name, email as "email: EmailAddress" from users where id = $1"#,
                export.user_id as _,
            )
            .fetch_one(&mut *tx)
            .await?;
            let text = format!(
                "The copy of your data that you asked for is ready. Sign in to download it, until {}.",
                expires_at.format("%-d %B %Y"),
            );
            let notice = Notice {
                name: &reader.name,
                subject: "The copy of your data is ready",
                paragraphs: &[text],
            };
            self.mailer.queue(&mut tx, &reader.email, Some(export.user_id), &notice).await?;
            if let Some(org) = export.org_id {
                let ready = ExportReady { export_id: export.id, bytes, expires_at };
                webhooks::emit(&mut tx, org, &ready, now).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}

/// Fails if the worker is to stop: the copy is begun anew elsewhere.
fn go_on() -> anyhow::Result<()> {
    let stops = jobs::running().is_some_and(|lease| lease.is_stopping());
    ensure!(!stops, "the worker stops");
    Ok(())
}

/// Adds the rows of one table, if it has any, as a JSON array with a row on each line.
async fn copy_table(
    archive: &mut Archive,
    db: &mut PgConnection,
    table: &PersonalData,
    subject: Subject,
) -> anyhow::Result<()> {
    let Some(rule) = subject.rule(table).filter(|rule| rule.exported) else { return Ok(()) };
    let select = format!(
        "select (to_jsonb({0}) - $2::text[])::text from {0} where {1}",
        table.table, rule.rows
    );
    let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(select))
        .bind(subject.id())
        .bind(table.withheld)
        .fetch(db);
    let mut is_first = true;
    while let Some(row) = rows.try_next().await? {
        if is_first {
            archive.begin(&format!("{}.json", table.table))?;
        }
        archive.write(if is_first { b"[\n" } else { b",\n" }).await?;
        archive.write(row.as_bytes()).await?;
        is_first = false;
    }
    if !is_first {
        archive.write(b"\n]\n").await?;
    }
    Ok(())
}
