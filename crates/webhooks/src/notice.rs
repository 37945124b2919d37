use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use email::Notice;
use kernel::{EmailAddress, Id, Org, User};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};

use crate::{Webhooks, lane::Lane};

/// Somebody who runs an org.
struct Admin {
    email: EmailAddress,
    user: Id<User>,
    name: String,
}

impl Admin {
    async fn all_of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select u.email as "email: _", u.id as "user: _", u.name
               from memberships m
               join users u on u.id = m.user_id and u.disabled_at is null
               where m.org_id = $1 and m.role in ('owner', 'admin')
               order by u.id"#,
            org as _,
        )
        .fetch_all(db)
        .await
    }
}

impl Webhooks {
    /// Tells those who run the org that an endpoint fails again and again, once until it works again.
    pub(crate) async fn warn(
        &self,
        db: &mut PgConnection,
        lane: &Lane,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update webhook_endpoints set warned_at = $2 where id = $1",
            lane.endpoint as _,
            now,
        )
        .execute(&mut *db)
        .await?;
        let paragraphs = [
            format!("Your webhook endpoint {} has not taken anything for a while.", lane.endpoint),
            format!(
                "It is tried again. After {} days of nothing but failure it is disabled; what happens then is \
                 kept for it. GET /v1/webhook-endpoints/{}/attempts shows what it answers.",
                self.config.webhooks_disable_after_days, lane.endpoint
            ),
        ];
        self.tell(db, lane.org, "A webhook endpoint of yours fails", &paragraphs).await
    }

    /// Disables an endpoint and tells those who run the org. What is due is kept.
    pub(crate) async fn give_up(
        &self,
        db: &mut PgConnection,
        lane: &Lane,
        reason: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let disabled = sqlx::query!(
            "update webhook_endpoints
             set disabled_at = $2, disabled_reason = $3, version = version + 1, updated_at = $2
             where id = $1 and disabled_at is null",
            lane.endpoint as _,
            now,
            reason,
        );
        if disabled.execute(&mut *db).await?.rows_affected() == 0 {
            return Ok(());
        }
        let entry =
            Entry::new(&Origin::SYSTEM, Some(lane.org), "webhook_endpoint.disabled", lane.endpoint);
        entry.after(json!({ "reason": reason })).record(&mut *db, now).await?;
        let why = match reason {
            "gone" => "it answered that it is gone (410)".to_owned(),
            _ => format!(
                "it has failed for {} days without a success",
                self.config.webhooks_disable_after_days
            ),
        };
        let paragraphs = [
            format!("Your webhook endpoint {} was disabled: {why}.", lane.endpoint),
            format!(
                "What happens meanwhile is kept for {} days and sent when you enable it again.",
                self.config.webhooks_retention_days
            ),
        ];
        self.tell(db, lane.org, "A webhook endpoint of yours was disabled", &paragraphs).await
    }

    async fn tell(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        subject: &str,
        paragraphs: &[String],
    ) -> sqlx::Result<()> {
        for Admin { email, user, name } in &Admin::all_of(&mut *db, org).await? {
            let notice = Notice { name, subject, paragraphs };
            self.mailer.queue(db, email, Some(*user), &notice).await?;
        }
        Ok(())
    }
}
