use chrono::{DateTime, Utc};
use kernel::{Id, Org};

use super::{Finding, IN_FLIGHT, Report, WINDOW};
use crate::{Billing, Result, customer::Customer, overage::KEY_LIFE, stripe::Stripe};

/// What Stripe confirmed of an org's overage, and what it did not.
struct Told {
    org: Id<Org>,
    sent: i64,
    /// Waits for so long that people should look.
    stuck: i64,
    last_error: Option<String>,
}

impl Billing {
    /// The meter has counted what it was told of every org, and it was told everything.
    pub(super) async fn compare_overage(
        &self,
        stripe: &Stripe,
        now: DateTime<Utc>,
        report: &mut Report,
    ) -> Result<()> {
        self.report_overage().await?;
        let minute = |time: DateTime<Utc>| time.timestamp().div_euclid(60) * 60;
        let (from, to) = (minute(now - WINDOW), minute(now - IN_FLIGHT));
        let all = self.told(from, to, now).await?;
        report.count("overage", all.len());
        for told in all {
            let Some(customer) = Customer::of(self.db.pool(), told.org).await? else { continue };
            let counted = stripe.overage_between(&customer.id, from, to).await?;
            let mut found = |kind: &str, detail: String| {
                let (kind, object, org_id) = (kind.to_owned(), customer.id.clone(), Some(told.org));
                report.found(Finding { kind, object, org_id, detail, repaired: false });
            };
            if counted != told.sent {
                let detail = format!("the meter counted {counted}, it was told {}", told.sent);
                found("overage_differs", detail);
            }
            if told.stuck > 0 {
                let why = told.last_error.unwrap_or_default();
                found("overage_not_billed", format!("{} credits: {why}", told.stuck));
            }
        }
        Ok(())
    }

    async fn told(&self, from: i64, to: i64, now: DateTime<Utc>) -> sqlx::Result<Vec<Told>> {
        sqlx::query_as!(
            Told,
            r#"select org_id as "org: _",
                      coalesce(sum(credits) filter (
                          where sent_at is not null and used_at >= to_timestamp($1::bigint)
                            and used_at < to_timestamp($2::bigint)), 0)::bigint as "sent!",
                      coalesce(sum(credits) filter (where sent_at is null and created_at < $3), 0)::bigint
                          as "stuck!",
                      max(last_error) as last_error
               from overage_reports
               where (used_at >= to_timestamp($1::bigint) or sent_at is null) and not exists (
                   select from billing_closures c
                   where c.org_id = overage_reports.org_id and c.done_at is not null)
               group by org_id"#,
            from,
            to,
            now - KEY_LIFE,
        )
        .fetch_all(self.db.pool())
        .await
    }
}
