use audit::{Entry, Origin};
use web::Caller;

use super::{Deletion, notices::News};
use crate::{Error, Privacy, Result, subject::Subject};

impl Privacy {
    /// Has `subject` deleted once the time to think it over has passed. Asking again changes nothing. A `caller` who asks
    /// for themselves stays signed in, to call it off.
    pub(super) async fn request_deletion(
        &self,
        caller: Option<&Caller>,
        subject: Subject,
        origin: &Origin,
    ) -> Result<Deletion> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if let Subject::Person(user) = subject {
            let alone = auth::Auth::orgs_owned_alone(&mut tx, user).await?;
            if !alone.is_empty() {
                return Err(Error::SoleOwner(alone));
            }
        }
        let times = (now, now + self.config.grace());
        let (deletion, is_new) = Deletion::insert(&mut tx, subject, None, times).await?;
        if !is_new {
            return Ok(deletion);
        }
        let entry = Entry::new(origin, deletion.org_id, "deletion.requested", deletion.id);
        entry.record(&mut tx, now).await?;
        self.tell(&mut tx, &deletion, News::Asked).await?;
        // Whoever has a key or another session of theirs is out at once.
        let ended = match subject {
            Subject::Person(user) => Some(self.auth.end_access(&mut tx, user, caller).await?),
            Subject::Org(_) => None,
        };
        tx.commit().await?;
        if let Some(ended) = ended {
            self.auth.forget(ended);
        }
        Ok(deletion)
    }

    /// Calls it off, unless it has begun.
    pub(super) async fn cancel_deletion(&self, subject: Subject, origin: &Origin) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let asked = Deletion::of(&mut *tx, subject).await?.ok_or(Error::NoDeletion)?;
        let cancelled = sqlx::query!(
            "update deletions set cancelled_at = $2
             where id = $1 and started_at is null and cancelled_at is null and part_of is null",
            asked.id as _,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if cancelled.rows_affected() == 0 {
            return Err(Error::TooLate);
        }
        let entry = Entry::new(origin, asked.org_id, "deletion.cancelled", asked.id);
        entry.record(&mut tx, now).await?;
        self.tell(&mut tx, &asked, News::CalledOff).await?;
        tx.commit().await?;
        Ok(())
    }
}
