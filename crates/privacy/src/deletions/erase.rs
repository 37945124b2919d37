use anyhow::Context;
use app::{Erasure, PersonalData};
use audit::Redaction;
use futures::TryStreamExt;
use kernel::Id;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::Deletion;
use crate::{Privacy, exports::Export, subject::Subject};

/// The account and the org, whose names and addresses lead to rows that have no id: last.
const ROOTS: [&str; 2] = ["users", "orgs"];

impl Privacy {
    /// Erases whatever is declared. Each step is noted in the transaction that does it, so that it is done once.
    pub(super) async fn erase(&self, deletion: &Deletion, subject: Subject) -> anyhow::Result<()> {
        self.erase_objects(deletion.id, subject).await.context("erase the objects")?;
        self.drop_jobs(deletion.id, subject).await.context("drop the jobs")?;
        self.redact(deletion.id, subject).await.context("redact the audit log")?;
        let (roots, others): (Vec<_>, Vec<_>) =
            self.tables.iter().partition(|it| ROOTS.contains(&it.table));
        for table in others.into_iter().chain(roots) {
            self.erase_table(deletion.id, table, subject)
                .await
                .with_context(|| format!("erase {}", table.table))?;
        }
        Ok(())
    }

    /// They are counted first, since the storage knows no transactions: what is gone cannot be counted any more. Before
    /// the transaction, since that may take minutes.
    async fn erase_objects(&self, deletion: Id<Deletion>, subject: Subject) -> anyhow::Result<()> {
        let mut copies = vec![];
        if let Subject::Person(user) = subject {
            copies = Export::of_orgs(self.db.pool(), user).await?;
        }
        let objects = self.storage.list(&subject.objects());
        let found = objects.try_fold(0, |found, _| async move { Ok(found + 1) }).await?;
        let mut tx = self.db.begin().await?;
        if begin_step(&mut tx, deletion, "objects").await? {
            count(&mut tx, deletion, "objects", found + copies.len() as u64).await?;
        }
        tx.commit().await?;
        // Copies of orgs are with the orgs, and for nobody but who asked for them.
        for copy in copies {
            self.storage.delete(&copy.key()).await?;
        }
        self.storage.delete_all(&subject.objects()).await?;
        Ok(())
    }

    /// Work that is still to be done for them, and what failed of it.
    async fn drop_jobs(&self, deletion: Id<Deletion>, subject: Subject) -> anyhow::Result<()> {
        let mut tx = self.db.begin().await?;
        if begin_step(&mut tx, deletion, "jobs").await? {
            let address =
                sqlx::query_scalar!("select email from users where id = $1", subject.id())
                    .fetch_optional(&mut *tx)
                    .await?;
            let words: Vec<_> = address.into_iter().chain([subject.id().to_string()]).collect();
            let dropped = jobs::discard_carrying(&mut tx, &words).await?;
            count(&mut tx, deletion, "jobs", dropped).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn redact(&self, deletion: Id<Deletion>, subject: Subject) -> anyhow::Result<()> {
        let redaction = match subject {
            Subject::Person(user) => Redaction::Person(user),
            Subject::Org(org) => Redaction::Org(org),
        };
        let step = "audit_events: redacted";
        let mut after = Uuid::nil();
        loop {
            let mut tx = self.db.begin().await?;
            begin_step(&mut tx, deletion, step).await?;
            let redacted = self.audit.redact(&mut tx, redaction, after).await?;
            count(&mut tx, deletion, step, redacted.map_or(0, |it| it.new)).await?;
            tx.commit().await?;
            let Some(redacted) = redacted else { return Ok(()) };
            after = redacted.last;
        }
    }

    async fn erase_table(
        &self,
        deletion: Id<Deletion>,
        it: &PersonalData,
        subject: Subject,
    ) -> anyhow::Result<()> {
        let Some(rule) = subject.rule(it) else { return Ok(()) };
        let (step, statement) = match rule.erasure {
            Erasure::Delete => ("deleted", format!("delete from {} where {}", it.table, rule.rows)),
            Erasure::Overwrite(set) => {
                ("overwritten", format!("update {} set {set} where {}", it.table, rule.rows))
            }
            Erasure::Keep | Erasure::ByItsCrate => return Ok(()),
        };
        // Some tables have an entry for each kind of rows.
        let step = format!("{}, {}: {step}", it.table, it.tells);
        let mut tx = self.db.begin().await?;
        if begin_step(&mut tx, deletion, &step).await? {
            let erase = sqlx::query(AssertSqlSafe(statement)).bind(subject.id());
            let rows = erase.execute(&mut *tx).await?.rows_affected();
            count(&mut tx, deletion, &step, rows).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// `false`: it was begun before, and in a transaction that did all of it is done.
async fn begin_step(
    db: &mut PgConnection,
    deletion: Id<Deletion>,
    step: &str,
) -> sqlx::Result<bool> {
    // Tables that nothing limits: one statement each, so that none is half done.
    sqlx::query!("set local statement_timeout = '30min'").execute(&mut *db).await?;
    let begun = sqlx::query!(
        "insert into deletion_steps (deletion_id, step, rows) values ($1, $2, 0) on conflict do nothing",
        deletion as _,
        step,
    )
    .execute(db)
    .await?;
    Ok(begun.rows_affected() == 1)
}

async fn count(
    db: &mut PgConnection,
    deletion: Id<Deletion>,
    step: &str,
    rows: u64,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update deletion_steps set rows = rows + $3 where deletion_id = $1 and step = $2",
        deletion as _,
        step,
        i64::try_from(rows).unwrap_or(i64::MAX),
    )
    .execute(db)
    .await?;
    Ok(())
}
