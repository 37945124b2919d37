use chrono::{DateTime, TimeDelta, Utc};
use jobs::Job;
use kernel::{Id, Org};
use quotas::OverageUse;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use crate::{Billing, Failure, Result, customer::Customer, stripe::Stripe, subscription};

/// After that Stripe's memory of what it was told is not relied upon: it lasts for a day.
pub(crate) const KEY_LIFE: TimeDelta = TimeDelta::hours(12);

/// For how long after a period Stripe can still bill it: it draws the invoice up an hour later.
const BILLABLE: TimeDelta = TimeDelta::minutes(45);

/// For how long after a period calls may end that began in it.
const LATE: TimeDelta = TimeDelta::days(2);

/// Tells Stripe what was used, every minute.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReportOverage {}

impl Job for ReportOverage {
    const NAME: &'static str = "billing.report_overage";
    const MAX_ATTEMPTS: i16 = 1;
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        Ok(billing.report_overage().await?)
    }
}

/// Credits of which Stripe is told. What it is told under one id counts once. Its meter says by the minute how much it
/// has counted: so of an org at most one report of a minute is unconfirmed, of which that says whether it arrived.
struct Report {
    id: Id<Report>,
    org: Id<Org>,
    credits: i64,
    used_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

impl Billing {
    /// Writes down what was used since the last time, and tells Stripe; what it could not be told before, too.
    pub(crate) async fn report_overage(&self) -> Result<()> {
        let Ok(stripe) = self.stripe() else { return Ok(()) };
        let now = self.clock.now();
        for used in OverageUse::since(self.db.pool(), now - LATE).await? {
            self.write_report(&used, now).await?;
        }
        for report in Report::waiting(self.db.pool()).await? {
            match self.send_report(stripe, &report, now).await {
                Ok(()) => report.sent(self.db.pool(), now).await?,
                Err(Failure::Refused { reason, .. }) => {
                    tracing::error!(org = %report.org, reason, "overage is not billed");
                    report.refused(self.db.pool(), &reason).await?;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(())
    }

    async fn write_report(&self, used: &OverageUse, now: DateTime<Utc>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        subscription::lock(&mut tx, used.org).await?;
        // Read again: somebody may have written it down meanwhile.
        let credits = OverageUse::of(&mut *tx, used.org, &used.period).await?;
        let mut used_at = billed_at(now, used.until);
        while Report::waits_in_the_minute_of(&mut *tx, used.org, used_at).await? {
            used_at -= TimeDelta::minutes(1);
        }
        sqlx::query!(
            "insert into overage_reports (id, org_id, period, credits, used_at, created_at)
             select $1, $2, $3, $4 - reported, $5, $6
             from (select coalesce(sum(credits), 0)::bigint as reported
                   from overage_reports
                   where org_id = $2 and period = $3) before
             where $4 > reported",
            Id::<Report>::new() as _,
            used.org as _,
            used.period,
            credits,
            used_at,
            now,
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    async fn send_report(
        &self,
        stripe: &Stripe,
        report: &Report,
        now: DateTime<Utc>,
    ) -> Result<(), Failure> {
        let unavailable = |error: sqlx::Error| Failure::Unavailable(error.to_string());
        let customer = Customer::of(self.db.pool(), report.org).await.map_err(unavailable)?;
        let Some(Customer { id: customer, .. }) = customer else { return Ok(()) };
        if now - report.created_at > KEY_LIFE {
            let minute = report.used_at.timestamp().div_euclid(60) * 60;
            let there = stripe.overage_between(&customer, minute, minute + 60).await?;
            let others = report.sent_in_its_minute(self.db.pool()).await.map_err(unavailable)?;
            if there >= others + report.credits {
                return Ok(()); // It arrived, but we never noted the answer.
            }
        }
        let id = report.id.to_string();
        stripe.report_overage(&id, &customer, report.credits, report.used_at.timestamp()).await
    }
}

impl Report {
    /// Those that Stripe has not confirmed, the oldest first. Whoever closed their account has no customer there
    /// any more, and is forgiven.
    async fn waiting(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", credits, used_at, created_at
               from overage_reports
               where sent_at is null and not exists (
                   select from billing_closures c
                   where c.org_id = overage_reports.org_id and c.done_at is not null)
               order by created_at, id"#,
        )
        .fetch_all(db)
        .await
    }

    async fn sent(&self, db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!(
            "update overage_reports set sent_at = $2, last_error = null where id = $1",
            self.id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    async fn refused(&self, db: impl PgExecutor<'_>, why: &str) -> sqlx::Result<()> {
        sqlx::query!("update overage_reports set last_error = $2 where id = $1", self.id as _, why)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Whether Stripe has not confirmed another one of the minute of `at`.
    async fn waits_in_the_minute_of(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        at: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"select exists (
                   select from overage_reports
                   where org_id = $1 and sent_at is null
                     and date_trunc('minute', used_at) = date_trunc('minute', $2::timestamptz)
               ) as "exists!""#,
            org as _,
            at,
        )
        .fetch_one(db)
        .await
    }

    /// What Stripe has confirmed of the org's overage in the same minute.
    async fn sent_in_its_minute(&self, db: impl PgExecutor<'_>) -> sqlx::Result<i64> {
        sqlx::query_scalar!(
            r#"select coalesce(sum(credits), 0)::bigint as "credits!"
               from overage_reports
               where org_id = $1 and sent_at is not null
                 and date_trunc('minute', used_at) = date_trunc('minute', $2::timestamptz)"#,
            self.org as _,
            self.used_at,
        )
        .fetch_one(db)
        .await
    }
}

/// The moment to tell Stripe: in the period that ends at `until`, as long as that can still be billed.
fn billed_at(now: DateTime<Utc>, until: DateTime<Utc>) -> DateTime<Utc> {
    if now >= until && now < until + BILLABLE { until - TimeDelta::seconds(1) } else { now }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::billed_at;

    #[test]
    fn what_ends_late_is_billed_with_its_period_as_long_as_there_is_no_invoice() {
        let at = |time: &str| -> DateTime<Utc> { format!("2027-02-01T{time}Z").parse().unwrap() };
        let until = at("10:00:00");
        assert_eq!(billed_at(at("09:59:59"), until), at("09:59:59"));
        assert_eq!(billed_at(at("10:00:00"), until), at("09:59:59"));
        assert_eq!(billed_at(at("10:44:59"), until), at("09:59:59"));
        assert_eq!(billed_at(at("10:45:00"), until), at("10:45:00"), "with the next");
    }
}
