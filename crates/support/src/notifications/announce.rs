use email::{Announcement as Mail, Category};
use jobs::{Enqueue, Job};
use kernel::{EmailAddress, Id, User};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::announcement::Announcement;
use crate::Support;

/// People who are told in one transaction.
const PAGE: i64 = 500;

/// Puts an announcement into the feeds of everybody who has an account, a page after the other. Each page queues the
/// next in its transaction; whoever was told by a run before is not told again.
#[derive(Serialize, Deserialize)]
pub(crate) struct Announce {
    pub(crate) announcement: Id<Announcement>,
    /// The last one who was told.
    pub(crate) after: Option<Id<User>>,
}

struct Person {
    user: Id<User>,
    email: EmailAddress,
    name: String,
}

impl Job for Announce {
    const NAME: &'static str = "support.announce";
    type Context = Support;

    async fn run(self, support: Support) -> anyhow::Result<()> {
        let mut tx = support.db.begin().await?;
        // It cannot be withdrawn meanwhile.
        sqlx::query!(
            "select title from announcements where id = $1 for share",
            self.announcement as _
        )
        .fetch_optional(&mut *tx)
        .await?;
        let found = Announcement::find(&mut *tx, self.announcement).await?;
        let Some(announcement) = found.filter(|it| it.holds(support.clock.now())) else {
            return Ok(());
        };
        let page = next(&mut tx, self.after).await?;
        let Some(last) = page.last().map(|it| it.user) else { return Ok(()) };
        let told = tell(&mut tx, &announcement, &page, support.clock.now()).await?;
        if announcement.mailed {
            let told = page.iter().filter(|it| told.contains(&it.user));
            support.mail(&mut tx, &announcement, told).await?;
        }
        let next = Self { announcement: self.announcement, after: Some(last) };
        let key = format!("{}: {} after {last}", Self::NAME, self.announcement);
        Enqueue::new(&next).key(key).send(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

async fn next(db: &mut PgConnection, after: Option<Id<User>>) -> sqlx::Result<Vec<Person>> {
    sqlx::query_as!(
        Person,
        r#"select id as "user: _", email as "email: _", name from users
           where email_verified_at is not null and disabled_at is null and ($1::uuid is null or id > $1)
           order by id
           limit $2"#,
        after as _,
        PAGE,
    )
    .fetch_all(db)
    .await
}

/// Answers who of them was not told before.
async fn tell(
    db: &mut PgConnection,
    announcement: &Announcement,
    page: &[Person],
    now: chrono::DateTime<chrono::Utc>,
) -> sqlx::Result<Vec<Id<User>>> {
    let users: Vec<_> = page.iter().map(|it| it.user.uuid()).collect();
    sqlx::query_scalar!(
        r#"with feeds as (
               insert into notification_feeds (user_id, last)
               select u.id, 1
               from users u
               where u.id = any($1)
                 and not exists (select from notifications n where n.user_id = u.id and n.announcement_id = $2)
               order by u.id
               on conflict (user_id) do update set last = notification_feeds.last + 1
               returning user_id, last)
           insert into notifications (user_id, number, kind, title, text, announcement_id, created_at)
           select user_id, last, 'announcement', $3, $4, $2, $5 from feeds
           on conflict (user_id, announcement_id) do nothing
           returning user_id as "user: Id<User>""#,
        &users,
        announcement.id as _,
        announcement.title,
        announcement.text,
        now,
    )
    .fetch_all(db)
    .await
}

impl Support {
    async fn mail<'a>(
        &self,
        db: &mut PgConnection,
        announcement: &Announcement,
        told: impl Iterator<Item = &'a Person>,
    ) -> sqlx::Result<()> {
        let told: Vec<_> = told.collect();
        let users: Vec<_> = told.iter().map(|it| it.user).collect();
        let unwilling = Category::News.turned_off_by(&mut *db, &users).await?;
        for Person { user, email, name } in told {
            if !unwilling.contains(user) {
                let mail = Mail { name, title: &announcement.title, text: &announcement.text };
                self.mailer.queue(&mut *db, email, Some(*user), &mail).await?;
            }
        }
        Ok(())
    }
}
