use chrono::{DateTime, Utc};
use kernel::Id;
use metrics::counter;
use sqlx::PgConnection;

use crate::{
    Endpoint, Webhooks,
    attempt::Outcome,
    backoff,
    delivery::{Fate, Message},
    health::Health,
    lane::Lane,
};

/// An attempt to deliver an event, in the log.
#[derive(Debug)]
pub(crate) enum Attempt {}

impl Webhooks {
    /// Writes down what came of an attempt: for the event, for the endpoint, and in the log, in one
    /// transaction. Rows are locked in this order: the endpoint, its deliveries.
    pub(crate) async fn record(&self, lane: &mut Lane, outcome: Outcome) -> anyhow::Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let Some((version, before)) = Health::lock(&mut tx, lane.endpoint).await? else {
            lane.ended = true; // deleted
            return Ok(());
        };
        outcome.delivery.settle(&mut tx, lane.endpoint, self.fate(&outcome, now)).await?;
        write_down(&mut tx, lane, &outcome, now).await?;
        if version == lane.version {
            self.note_health(&mut tx, lane, &outcome, before, now).await?;
        } else {
            lane.ended = true; // It was asked as it was, which says nothing of how it is now.
        }
        tx.commit().await?;
        let result = if outcome.is_success() { "delivered" } else { "failed" };
        counter!("webhook_attempts_total", "outcome" => result).increment(1);
        Ok(())
    }

    async fn note_health(
        &self,
        db: &mut PgConnection,
        lane: &mut Lane,
        outcome: &Outcome,
        before: Health,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let health = if outcome.is_success() {
            Health::succeeded(outcome.took)
        } else {
            before.failed(outcome.took, outcome.asked_for(now), now)
        };
        if health != before {
            health.store(db, lane.endpoint).await?;
        }
        lane.ended |= self.judge(db, lane, outcome, &health, now).await?;
        lane.health = health;
        Ok(())
    }

    fn fate(&self, outcome: &Outcome, now: DateTime<Utc>) -> Fate {
        let attempt = outcome.delivery.attempt;
        if outcome.is_success() {
            Fate::Delivered
        } else if outcome.is_gone() {
            Fate::Again(now) // Held: the endpoint is disabled.
        } else if attempt >= self.config.webhooks_max_attempts {
            Fate::GivenUp
        } else {
            let pause = backoff::jittered(backoff::after_attempt(attempt));
            Fate::Again(now + outcome.asked_for(now).map_or(pause, |it| it.max(pause)))
        }
    }

    /// Disables an endpoint that is no more, or fails for days, and tells its people; `true` if it did.
    async fn judge(
        &self,
        db: &mut PgConnection,
        lane: &Lane,
        outcome: &Outcome,
        health: &Health,
        now: DateTime<Utc>,
    ) -> anyhow::Result<bool> {
        let reason = if outcome.is_gone() {
            "gone"
        } else if health.is_hopeless(self.config.disable_after(), now) {
            "failing"
        } else {
            if health.is_worth_a_warning(now) {
                self.warn(db, lane, now).await?;
            }
            return Ok(false);
        };
        self.give_up(db, lane, reason, now).await?;
        Ok(true)
    }
}

async fn write_down(
    db: &mut PgConnection,
    lane: &Lane,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let status = outcome.status().and_then(|it| i16::try_from(it.as_u16()).ok());
    // The delivery may be too old by now.
    sqlx::query!(
        "insert into webhook_attempts
             (id, endpoint_id, event_id, org_id, status, error, response, duration_ms, created_at)
         select $1, endpoint_id, event_id, org_id, $4, $5, $6, $7, $8
         from webhook_deliveries where endpoint_id = $2 and event_id = $3",
        Id::<Attempt>::new() as _,
        lane.endpoint as _,
        outcome.delivery.message as Id<Message>,
        status,
        outcome.error(),
        outcome.response(),
        i32::try_from(outcome.took.num_milliseconds()).unwrap_or(i32::MAX),
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

impl Health {
    /// How the endpoint does, and in which version, until the transaction ends.
    async fn lock(
        db: &mut PgConnection,
        endpoint: Id<Endpoint>,
    ) -> sqlx::Result<Option<(i64, Self)>> {
        let locked = sqlx::query!(
            "select version, failures, failing_since, warned_at, paused_until, slow
             from webhook_endpoints where id = $1 for no key update",
            endpoint as _,
        );
        Ok(locked.fetch_optional(db).await?.map(|row| {
            let health = Self {
                failures: row.failures,
                failing_since: row.failing_since,
                warned_at: row.warned_at,
                paused_until: row.paused_until,
                slow: row.slow,
            };
            (row.version, health)
        }))
    }

    async fn store(&self, db: &mut PgConnection, endpoint: Id<Endpoint>) -> sqlx::Result<()> {
        sqlx::query!(
            "update webhook_endpoints
             set failures = $2, failing_since = $3, warned_at = $4, paused_until = $5, slow = $6
             where id = $1",
            endpoint as _,
            self.failures,
            self.failing_since,
            self.warned_at,
            self.paused_until,
            self.slow,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
