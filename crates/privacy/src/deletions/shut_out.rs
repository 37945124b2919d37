use audit::{Entry, Origin};
use auth::Error as AuthError;
use billing::Closure;
use chrono::TimeDelta;
use kernel::{Id, Org, User};
use sqlx::PgConnection;

use super::{Deletion, notices::News};
use crate::{Privacy, subject::Subject};

/// How long a deletion waits for somebody who has become the only owner of an org.
const PUT_OFF: TimeDelta = TimeDelta::days(1);

impl Privacy {
    /// Shuts everybody out and ends what is paid for, in one transaction. Again, it only finds what was under way
    /// the last time, such as an org that was being founded. `None`: there is nothing to do, or not yet.
    pub(super) async fn shut_out(&self, id: Id<Deletion>) -> anyhow::Result<Option<Deletion>> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let Some(mut deletion) = Deletion::lock(&mut tx, id).await? else { return Ok(None) };
        if deletion.cancelled_at.is_some() || deletion.done_at.is_some() || deletion.due_at > now {
            return Ok(None);
        }
        if deletion.started_at.is_none() {
            self.note_start(&mut tx, &mut deletion).await?;
        }
        let shut_out = match deletion.subject() {
            Some(Subject::Person(user)) => self.shut_out_person(&mut tx, user, &deletion).await?,
            Some(Subject::Org(org)) => Some(self.shut_out_members(&mut tx, org).await?),
            None => return Ok(None),
        };
        let Some(shut_out) = shut_out else {
            tx.rollback().await?;
            self.put_off(&deletion).await?;
            return Ok(None);
        };
        tx.commit().await?;
        if let Some(ended) = shut_out.ended {
            self.auth.forget(ended);
        }
        for user in shut_out.people {
            self.db.changes().note(user);
        }
        Ok(Some(deletion))
    }

    async fn note_start(
        &self,
        db: &mut PgConnection,
        deletion: &mut Deletion,
    ) -> anyhow::Result<()> {
        let now = self.clock.now();
        deletion.started_at = Some(now);
        sqlx::query!("update deletions set started_at = $2 where id = $1", deletion.id as _, now)
            .execute(&mut *db)
            .await?;
        let entry = Entry::new(&Origin::SYSTEM, deletion.org_id, "deletion.begun", deletion.id);
        entry.record(&mut *db, now).await?;
        // Members of an org are told by what takes them out of it.
        if deletion.user_id.is_some() {
            self.tell(db, deletion, News::Begun).await?;
        }
        Ok(())
    }

    /// `None`: an org with other members would have no owner.
    async fn shut_out_person(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
        deletion: &Deletion,
    ) -> anyhow::Result<Option<ShutOut>> {
        let now = self.clock.now();
        let (alone, ended) = match self.auth.withdraw(db, user).await {
            Ok(left) => left,
            Err(AuthError::Membership(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        for org in alone {
            Deletion::insert(db, Subject::Org(org), Some(deletion.id), (now, now)).await?;
            // It may have been asked for before, and be due later.
            sqlx::query!(
                "update deletions set due_at = least(due_at, $2), part_of = $3
                 where org_id = $1 and cancelled_at is null",
                org as _,
                now,
                deletion.id as _,
            )
            .execute(&mut *db)
            .await?;
        }
        Ok(Some(ShutOut { ended: Some(ended), people: vec![user] }))
    }

    async fn shut_out_members(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
    ) -> anyhow::Result<ShutOut> {
        let people = self.auth.dissolve(db, org).await?;
        // As long as it takes: a job that has used up its attempts is queued anew.
        if Closure::of(&mut *db, org).await?.is_none_or(|closure| closure.done_at.is_none()) {
            Closure::request(db, org, &Origin::SYSTEM, self.clock.now()).await?;
        }
        Ok(ShutOut { ended: None, people })
    }

    async fn put_off(&self, deletion: &Deletion) -> anyhow::Result<()> {
        let mut tx = self.db.begin().await?;
        let put_off = sqlx::query!(
            "update deletions set due_at = $3
             where id = $1 and due_at = $2 and started_at is null and cancelled_at is null",
            deletion.id as _,
            deletion.due_at,
            self.clock.now() + PUT_OFF,
        )
        .execute(&mut *tx)
        .await?;
        if put_off.rows_affected() == 1 {
            self.tell(&mut tx, deletion, News::PutOff).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Of whom this instance is to remember nothing, after the commit.
struct ShutOut {
    ended: Option<auth::Ended>,
    people: Vec<Id<User>>,
}
