use chrono::{DateTime, TimeDelta, Utc};
use email::{Category, InactivityNudge};
use jobs::Job;
use kernel::{EmailAddress, Id, User};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};

use crate::{News, PAGE};

/// After how long somebody is reminded, and after how long once more. Then never until they come back.
const FIRST: TimeDelta = TimeDelta::days(14);
const SECOND: TimeDelta = TimeDelta::days(45);
/// Who has been away for longer before anybody could remind them is left in peace.
const TOO_LATE: TimeDelta = TimeDelta::days(75);

/// Reminds people who have not been here for a while, daily.
///
/// That somebody was reminded is written down in the transaction that queues their mail, under a
/// condition that holds once: neither a crash nor a second run reminds them twice.
#[derive(Serialize, Deserialize)]
pub(crate) struct NudgeInactive {}

impl Job for NudgeInactive {
    const NAME: &'static str = "news.inactivity_nudges";
    type Context = News;

    async fn run(self, news: News) -> anyhow::Result<()> {
        let mut after = None;
        while let Some(last) = news.nudge_page(after).await? {
            after = Some(last);
        }
        Ok(())
    }
}

/// Somebody who has not been here for a while.
struct Absent {
    user: Id<User>,
    email: EmailAddress,
    name: String,
    last_here: DateTime<Utc>,
    /// Whether one of their orgs ever made a call.
    has_called: bool,
}

impl Absent {
    /// Those who may be due, in the order of their ids. Signed in, or called with a key: that is being
    /// here; sessions that are gone say nothing.
    async fn page(
        db: impl PgExecutor<'_>,
        after: Option<Id<User>>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select u.id as "user: _", u.email as "email: _", u.name, here.last as "last_here!",
                      exists (select from memberships m join usage_records r on r.org_id = m.org_id
                              where m.user_id = u.id) as "has_called!"
               from users u
               cross join lateral (
                   select greatest(
                       u.created_at,
                       (select max(last_seen_at) from sessions where user_id = u.id),
                       (select max(last_used_at) from api_keys where user_id = u.id)) as last) here
               where u.email_verified_at is not null and u.disabled_at is null
                 and ($1::uuid is null or u.id > $1)
                 and here.last <= $2 and here.last > $3
               order by u.id
               limit $4"#,
            after as _,
            now - FIRST,
            now - TOO_LATE,
            PAGE,
        )
        .fetch_all(db)
        .await
    }

    /// Notes that they are reminded, if they are due.
    async fn note(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<bool> {
        let noted = sqlx::query!(
            "insert into nudges as n (user_id, step, sent_at) values ($1, 1, $2)
             on conflict (user_id) do update
             set step = case when n.sent_at < $3 then 1 else 2 end, sent_at = $2
             where n.sent_at < $3 or (n.step = 1 and $3 <= $4 and n.sent_at <= $5)",
            self.user as _,
            now,
            self.last_here,
            now - SECOND,
            now - (SECOND - FIRST),
        )
        .execute(db)
        .await?;
        Ok(noted.rows_affected() == 1)
    }

    fn suggestion(&self) -> &'static str {
        if self.has_called {
            "Everything is as you left it: your projects, your keys and your credits."
        } else {
            "You have not made a call yet: the first takes a minute, and the documentation begins \
             with it."
        }
    }
}

impl News {
    /// Reminds the next page of people; answers the last of them, if there is any.
    async fn nudge_page(&self, after: Option<Id<User>>) -> sqlx::Result<Option<Id<User>>> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let page = Absent::page(&mut *tx, after, now).await?;
        let users: Vec<Id<User>> = page.iter().map(|absent| absent.user).collect();
        let unwilling = Category::Nudges.turned_off_by(&mut *tx, &users).await?;
        for absent in page.iter().filter(|absent| !unwilling.contains(&absent.user)) {
            if !absent.note(&mut tx, now).await? {
                continue;
            }
            let days = (now - absent.last_here).num_days();
            let suggestion = absent.suggestion();
            let nudge = InactivityNudge { name: &absent.name, days, suggestion };
            self.mailer.queue(&mut tx, &absent.email, Some(absent.user), &nudge).await?;
        }
        tx.commit().await?;
        Ok(users.last().copied())
    }
}
