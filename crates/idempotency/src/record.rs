use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use sqlx::PgConnection;
use uuid::Uuid;

/// How long an answer is kept.
const LIFE: TimeDelta = TimeDelta::hours(24);

/// One attempt at a request, as a row of `idempotency_keys`.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// A hash of the caller, the operation and the key.
    pub(crate) id: [u8; 32],
    pub(crate) org: Id<Org>,
    /// A hash of the method, the address and the body.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) attempt: Uuid,
}

/// What came of trying to begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The request is ours to do.
    Ours,
    /// It was done; the answer, sealed.
    Done(Vec<u8>),
    /// Somebody is doing it, until then at most.
    InFlight(DateTime<Utc>),
    /// The key was used for another request.
    OtherRequest,
    /// It was done, or partly; nobody knows the answer.
    Lost,
}

impl Record {
    /// Begins the request, unless it was begun before. What was begun may be begun again when its
    /// lease is over and it certainly did nothing.
    pub(crate) async fn claim(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
        lease: TimeDelta,
    ) -> sqlx::Result<Claim> {
        let claimed = sqlx::query!(
            "insert into idempotency_keys as known
                 (id, org_id, fingerprint, attempt, lease_until, expires_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (id) do update
             set fingerprint = excluded.fingerprint, attempt = excluded.attempt, answer = null,
                 lease_until = excluded.lease_until, expires_at = excluded.expires_at
             where known.expires_at <= $7
                or known.answer is null and known.lease_until <= $7 and not exists (
                       select from idempotency_effects where attempt = known.attempt)",
            &self.id,
            self.org as _,
            &self.fingerprint,
            self.attempt,
            now + lease,
            now + LIFE,
            now,
        )
        .execute(&mut *db)
        .await?;
        if claimed.rows_affected() == 1 { Ok(Claim::Ours) } else { self.look(db, now).await }
    }

    /// Why it is not ours.
    async fn look(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<Claim> {
        let known = sqlx::query!(
            "select fingerprint, lease_until, answer from idempotency_keys where id = $1",
            &self.id,
        )
        .fetch_optional(db)
        .await?;
        Ok(match known {
            // It failed between the two statements, without any effect.
            None => Claim::InFlight(now),
            Some(known) if known.fingerprint != self.fingerprint => Claim::OtherRequest,
            Some(known) => match known.answer {
                Some(answer) => Claim::Done(answer),
                None if known.lease_until > now => Claim::InFlight(known.lease_until),
                None => Claim::Lost,
            },
        })
    }

    /// Keeps the answer; `false` if a later attempt has taken over.
    pub(crate) async fn complete(
        &self,
        db: &mut PgConnection,
        sealed: &[u8],
    ) -> sqlx::Result<bool> {
        let kept = sqlx::query!(
            "update idempotency_keys set answer = $3 where id = $1 and attempt = $2",
            &self.id,
            self.attempt,
            sealed,
        )
        .execute(db)
        .await?;
        Ok(kept.rows_affected() == 1)
    }

    /// Forgets the attempt; `false` if it had an effect, and therefore must be remembered.
    pub(crate) async fn release(&self, db: &mut PgConnection) -> sqlx::Result<bool> {
        let released = sqlx::query!(
            "delete from idempotency_keys
             where id = $1 and attempt = $2
               and not exists (select from idempotency_effects where attempt = $2)",
            &self.id,
            self.attempt,
        )
        .execute(db)
        .await?;
        Ok(released.rows_affected() == 1)
    }

    /// Writes an effect down before it happens; `false` if a later attempt has taken over.
    pub(crate) async fn take_effect(&self, db: &mut PgConnection) -> sqlx::Result<bool> {
        let written = sqlx::query!(
            "insert into idempotency_effects (key_id, org_id, attempt)
             select id, org_id, attempt from idempotency_keys
             where id = $1 and attempt = $2
             for key share",
            &self.id,
            self.attempt,
        )
        .execute(db)
        .await?;
        Ok(written.rows_affected() == 1)
    }

    /// Ends the lease of a request that was done and whose answer cannot be kept.
    pub(crate) async fn lose(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!(
            "with effect as (
                 insert into idempotency_effects (key_id, org_id, attempt) values ($1, $4, $2))
             update idempotency_keys set lease_until = $3 where id = $1 and attempt = $2",
            &self.id,
            self.attempt,
            now,
            self.org as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// What every transaction of the attempt begins with: see [`db::with_preamble`].
    pub(crate) fn preamble(&self) -> String {
        let (id, Self { org, attempt, .. }) = (hex::encode(self.id), self);
        format!(
            "insert into idempotency_effects (key_id, org_id, attempt) \
             values ('\\x{id}', '{org}', '{attempt}')"
        )
    }
}
