use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgExecutor};

use kernel::{Id, Org};

use crate::{Billing, Catalogue, Result, Subscription};

/// How long before the end of a trial people are told; Stripe's event comes then, too.
const NOTICE: TimeDelta = TimeDelta::days(3);

impl Billing {
    /// Mails once that a trial ends soon and what it costs then. The caller saves the subscription.
    pub(crate) async fn tell_of_trials_end(
        &self,
        db: &mut PgConnection,
        catalogue: &Catalogue,
        subscription: &mut Subscription,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let soon = |end: &DateTime<Utc>| now < *end && *end - NOTICE <= now;
        let runs = subscription.status == "trialing" && !subscription.trial_reminded;
        let Some(end) = subscription.trial_end.filter(|end| runs && soon(end)) else {
            return Ok(());
        };
        subscription.trial_reminded = true;
        let Some(plan) = catalogue.plan(&subscription.plan) else { return Ok(()) };
        let when = end.format("%-d %B %Y, %H:%M UTC");
        let then = if subscription.cancel_at_period_end {
            "Nothing is charged, because the subscription ends with it.".to_owned()
        } else {
            let cents = plan.cents(subscription.interval);
            format!(
                "From then on it costs {}.{:02} {} each {}, unless it is cancelled before.",
                cents / 100,
                cents % 100,
                catalogue.currency().to_uppercase(),
                subscription.interval,
            )
        };
        let way = format!(
            "To cancel: PATCH {}v1/billing/subscription with cancel_at_period_end.",
            self.terms.app_url
        );
        let subject = format!("Your trial of {} ends soon", plan.name);
        let paragraphs =
            [format!("The trial of the plan {} ends on {when}.", plan.name), then, way];
        self.mail_payers(db, subscription.org, &subject, &paragraphs).await
    }
}

/// Whose trial ends soon and who were not told, because Stripe's event was lost.
pub(crate) async fn ending(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Id<Org>>> {
    sqlx::query_scalar!(
        r#"select org_id as "org: _" from subscriptions
           where status = 'trialing' and not trial_reminded and trial_end > $1 and trial_end <= $2
           order by org_id"#,
        now,
        now + NOTICE,
    )
    .fetch_all(db)
    .await
}
