use app::Erasure;
use audit::{Entry, Origin};
use kernel::Id;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgExecutor;
use utoipa::ToSchema;

use super::Deletion;
use crate::Privacy;

/// What was erased, signed by us.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ErasureCertificate)]
pub struct Certificate {
    /// What was erased and what was kept, by table; it names nobody.
    #[schema(value_type = Object)]
    pub certificate: Value,
    /// Whether it is as we wrote it.
    pub genuine: bool,
}

impl Privacy {
    /// Says that everything is gone, once.
    pub(super) async fn certify(&self, deletion: &Deletion) -> anyhow::Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let steps = sqlx::query!(
            "select step, rows from deletion_steps where deletion_id = $1 and rows > 0 order by step",
            deletion.id as _,
        )
        .fetch_all(&mut *tx)
        .await?;
        let erased: serde_json::Map<_, _> =
            steps.into_iter().map(|it| (it.step, json!(it.rows))).collect();
        let certificate = json!({
            "deletion": deletion.id,
            "person": deletion.user_id,
            "org": deletion.org_id,
            "requested_at": deletion.requested_at,
            "begun_at": deletion.started_at,
            "done_at": now,
            // Of the time until now; `null`: we make none.
            "backups_until": self.backups_last.map(|last| now + last),
            "erased": erased,
            "kept": self.kept(deletion),
        });
        let text = sqlx::query_scalar!(r#"select $1::jsonb::text as "text!""#, certificate)
            .fetch_one(&mut *tx)
            .await?;
        let done = sqlx::query!(
            "update deletions set done_at = $2, certificate = $3, code = $4
             where id = $1 and done_at is null",
            deletion.id as _,
            now,
            certificate,
            &code(&self.secrets[0], &text)[..],
        )
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 1 {
            let entry = Entry::new(&Origin::SYSTEM, deletion.org_id, "deletion.done", deletion.id);
            entry.record(&mut tx, now).await?;
            // Kept apart from the database, logs still tell it when an older state of it was restored: twice rather
            // than never.
            tracing::info!(deletion = %deletion.id, subject = ?deletion.subject(), "everything was erased");
        }
        tx.commit().await?;
        Ok(())
    }

    /// Tables of which something stays, for how long and why.
    fn kept(&self, deletion: &Deletion) -> Value {
        let stays = |it: &&app::PersonalData| {
            let rule = deletion.subject().and_then(|subject| subject.rule(it));
            rule.is_some_and(|rule| rule.erasure != Erasure::Delete)
        };
        let kept = self.tables.iter().filter(stays).map(|it| (it.table.to_owned(), json!(it.kept)));
        Value::Object(kept.collect())
    }

    /// The certificate of a deletion that is done.
    pub(super) async fn certificate(
        &self,
        db: impl PgExecutor<'_>,
        id: Id<Deletion>,
    ) -> sqlx::Result<Option<Certificate>> {
        let found = sqlx::query!(
            r#"select certificate as "certificate!", certificate::text as "text!", code as "code!"
               from deletions where id = $1 and done_at is not null"#,
            id as _,
        )
        .fetch_optional(db)
        .await?;
        Ok(found.map(|it| Certificate {
            genuine: self.secrets.iter().any(|secret| code(secret, &it.text)[..] == it.code[..]),
            certificate: it.certificate,
        }))
    }
}

/// What only we can write beside a certificate.
fn code(secret: &SecretString, text: &str) -> [u8; 32] {
    let key = sealing::derive(secret.expose_secret().as_bytes(), "slipway erasure certificate");
    sealing::derive(&key, text)
}
