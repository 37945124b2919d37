use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jobs::{Enqueue, Job};
use kernel::Id;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{
    Category, Email, Mailer,
    pacing::Pace,
    suppressions::{Reason, Suppression},
    transport::{Failure, Outgoing},
};

/// A mail that a busy provider puts off again and again is given up after this; providers forget
/// idempotency keys after as long.
const LIFE: TimeDelta = TimeDelta::hours(24);

/// Hands one mail of the outbox to the provider.
///
/// Over Resend's API a mail is sent exactly once: an attempt whose answer got lost is repeated under the
/// same key, which Resend remembers for a day. SMTP has no such key. There a lost answer after the
/// mail's last byte means a second copy, with the same `Message-ID`, which mail programs show once: at
/// least once, since no mail may get lost.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendEmail {
    email: Id<Email>,
    /// Since when the provider has been too busy for it.
    #[serde(default)]
    busy_since: Option<DateTime<Utc>>,
}

impl SendEmail {
    pub(crate) fn of(email: Id<Email>) -> Self {
        Self { email, busy_since: None }
    }

    /// To be sent as soon as it is its turn: what people need goes before the rest.
    pub(crate) fn queued(&self, category: Category) -> Enqueue<'_, Self> {
        let job = Enqueue::new(self);
        if category.is_optional() { job } else { job.urgent() }
    }
}

impl SendEmail {
    /// Once, whoever puts it off again.
    async fn queue_in(
        &self,
        db: &mut PgConnection,
        category: Category,
        pause: TimeDelta,
    ) -> sqlx::Result<()> {
        let key = format!("{}:{}", Self::NAME, self.email);
        self.queued(category).key(key).after(pause).send(db).await
    }
}

impl Job for SendEmail {
    const NAME: &'static str = "email.send";
    type Context = Mailer;

    async fn run(self, mailer: Mailer) -> anyhow::Result<()> {
        let Some(email) = self.begin(&mailer).await? else { return Ok(()) };
        let outgoing = Outgoing::new(&email, &mailer);
        let provider = mailer.transport.name();
        match mailer.transport.hand_over(&outgoing).await {
            Ok(id) => {
                let now = mailer.clock.now();
                email.mark_sent(mailer.db.pool(), provider, &id, now).await?;
                count("sent");
                Ok(())
            }
            Err(Failure::Permanent { reason, no_such_address }) => {
                refused(&mailer, &email, &reason, no_such_address).await
            }
            Err(Failure::Busy { retry_after }) => self.put_off(&mailer, &email, retry_after).await,
            Err(Failure::Transient(error)) => {
                let db = mailer.db.pool();
                if jobs::running().is_none_or(|it| it.attempt >= Self::MAX_ATTEMPTS) {
                    email.give_up(db, provider, &error).await?;
                    count("given_up");
                } else {
                    email.note(db, &error, true).await?;
                }
                anyhow::bail!(error)
            }
        }
    }
}

impl SendEmail {
    /// Decides whether the mail is sent now, and counts the attempt.
    async fn begin(&self, mailer: &Mailer) -> anyhow::Result<Option<Email>> {
        let now = mailer.clock.now();
        let mut tx = mailer.db.begin().await?;
        let Some(mut email) = Email::lock(&mut tx, self.email).await? else { return Ok(None) };
        if email.claimed_for > 0 {
            // Another job of the same mail talks to the provider, or died over it.
            let pause = TimeDelta::milliseconds(email.claimed_for);
            self.queue_in(&mut tx, email.category, pause).await?;
            tx.commit().await?;
            return Ok(None);
        }
        match mailer.pace(&mut tx, &email, now).await? {
            Pace::Now => email.claim(&mut tx, mailer.attempt_lease).await?,
            Pace::Never(reason) => {
                email.suppress(&mut tx, reason).await?;
                tx.commit().await?;
                count("suppressed");
                return Ok(None);
            }
            Pace::In(pause) => {
                // It takes no place of anybody's today.
                tx.rollback().await?;
                let mut tx = mailer.db.begin().await?;
                self.queue_in(&mut tx, email.category, pause).await?;
                tx.commit().await?;
                count("put_off");
                return Ok(None);
            }
        }
        tx.commit().await?;
        Ok(Some(email))
    }

    /// A busy provider says when it has room. That was no attempt: a burst must not use them up.
    async fn put_off(
        &self,
        mailer: &Mailer,
        email: &Email,
        retry_after: Duration,
    ) -> anyhow::Result<()> {
        const ERROR: &str = "the provider is busy";
        let now = mailer.clock.now();
        let since = self.busy_since.unwrap_or(now);
        if since + LIFE < now {
            email.give_up(mailer.db.pool(), mailer.transport.name(), ERROR).await?;
            count("given_up");
            return Ok(());
        }
        let mut tx = mailer.db.begin().await?;
        email.note(&mut *tx, ERROR, false).await?;
        let again = Self { email: self.email, busy_since: Some(since) };
        again.queue_in(&mut tx, email.category, spread(email, retry_after)).await?;
        tx.commit().await?;
        count("put_off");
        Ok(())
    }
}

/// Up to twice as long, so that those put off together do not return together.
fn spread(email: &Email, pause: Duration) -> TimeDelta {
    let milliseconds = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 4).max(1);
    let bytes = email.id.uuid().into_bytes();
    let random = i64::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    TimeDelta::milliseconds(milliseconds + milliseconds.saturating_mul(random) / 65_536)
}

async fn refused(
    mailer: &Mailer,
    email: &Email,
    reason: &str,
    no_such_address: bool,
) -> anyhow::Result<()> {
    let now: DateTime<Utc> = mailer.clock.now();
    let mut tx = mailer.db.begin().await?;
    email.give_up(&mut *tx, mailer.transport.name(), reason).await?;
    if no_such_address {
        let suppression = Suppression::of(email.recipient.clone(), Reason::HardBounce);
        suppression.because_of(email.id).insert(&mut tx, now).await?;
    }
    tx.commit().await?;
    count("refused");
    tracing::warn!(email = %email.id, reason, "a mail was refused for good");
    Ok(())
}

fn count(outcome: &'static str) {
    metrics::counter!("emails_total", "outcome" => outcome).increment(1);
}
