//! Seats that were bought and that nobody sits in any more.

use audit::Origin;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use sqlx::PgExecutor;

use super::ChangeInput;
use crate::{Billing, Result, Subscription};

/// How long before its end a period's seats are counted: Stripe may be away for a while.
const BEFORE_END: TimeDelta = TimeDelta::days(1);

impl Billing {
    /// Gives up what nobody sits in, with the period that is paid: nothing is charged or refused for it,
    /// the next period costs less.
    pub(crate) async fn give_up_unused_seats(&self, org: Id<Org>) -> Result<()> {
        let (_, mut subscription) = self.running(org).await?;
        let period = subscription.current_period_end;
        let before = subscription.extra_seats;
        // Once more for whoever joined while Stripe was asked: afterwards nobody joins whose seat goes.
        for _ in 0..2 {
            let needed = self.seats_needed(&subscription).await?;
            if needed == subscription.next_extra_seats.unwrap_or(subscription.extra_seats) {
                break;
            }
            let input = ChangeInput { extra_seats: Some(needed), ..ChangeInput::default() };
            subscription = self.change(org, None, &input, &Origin::SYSTEM).await?;
        }
        let left = subscription.next_extra_seats.unwrap_or(before);
        let mut tx = self.db.begin().await?;
        sqlx::query!(
            "update subscriptions set seats_counted_for = $2 where org_id = $1",
            org as _,
            period,
        )
        .execute(&mut *tx)
        .await?;
        if left < before {
            let what = format!(
                "Of the {before} seats that you added, {} are not in use. They end with the period on {}, \
                 and are not charged again.",
                before - left,
                period.format("%-d %B %Y"),
            );
            let way = format!(
                "To keep them: PATCH {}v1/billing/subscription with extra_seats.",
                self.terms.app_url
            );
            self.mail_payers(&mut tx, org, "Seats that nobody uses end", &[what, way]).await?;
        }
        Ok(tx.commit().await?)
    }

    /// How many people there are beyond those that the plan has seats for; never more than were bought.
    async fn seats_needed(&self, subscription: &Subscription) -> Result<i64> {
        let version = self.catalogues.current().await?;
        let of_plan = version.catalogue.plan(&subscription.plan).map_or(0, |plan| plan.seats);
        let mut db = self.db.pool().acquire().await?;
        let people = auth::Seats::of(&mut db, subscription.org).await?.taken;
        Ok((people - of_plan).clamp(0, subscription.extra_seats))
    }
}

/// Those whose period ends soon, whose seats were not counted for that yet, and for whom nothing else is
/// to happen then.
pub(crate) async fn to_count(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Id<Org>>> {
    sqlx::query_scalar!(
        r#"select org_id as "org: _" from subscriptions
           where extra_seats > 0 and status = 'active' and not cancel_at_period_end
             and (next_plan is null
                  -- What was begun here before a crash: nobody was told of it yet.
                  or exists (select from subscription_changes c
                             where c.org_id = subscriptions.org_id and c.user_id is null
                               and c.created_at > $1::timestamptz - interval '1 day'))
             and current_period_end > $1 and current_period_end <= $2
             and seats_counted_for is distinct from current_period_end
           order by org_id"#,
        now,
        now + BEFORE_END,
    )
    .fetch_all(db)
    .await
}
