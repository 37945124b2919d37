use auth::Recipient;
use chrono::{DateTime, Utc};
use email::{Category, WeeklyDigest};
use jobs::Job;
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use usage::{Compare, Report, ReportQuery};
use uuid::Uuid;

use crate::{News, PAGE, week::Week};

/// How many models a digest names.
const MODELS: usize = 5;

/// Mails every member what their org did in the week before, on Mondays.
///
/// It goes from org to org and from page to page of its members. How far it has come is written down in
/// the transaction that queues a page's mails: after a crash it goes on there, and of two that run at
/// once each does pages that the other has not. Orgs that did nothing are passed over.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendDigests {}

impl Job for SendDigests {
    const NAME: &'static str = "news.weekly_digest";
    type Context = News;

    async fn run(self, news: News) -> anyhow::Result<()> {
        let week = Week::before(news.clock.now());
        while news.send_page(week).await? {}
        Ok(())
    }
}

/// How far the digest of a week has come.
struct Run {
    org: Id<Org>,
    user: Id<User>,
    finished_at: Option<DateTime<Utc>>,
}

impl Run {
    /// Nobody else goes on with it until the transaction ends.
    async fn lock(db: &mut PgConnection, week: Week, now: DateTime<Utc>) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"insert into digest_runs (week, org_cursor, user_cursor, started_at)
               values ($1, '00000000-0000-0000-0000-000000000000',
                       '00000000-0000-0000-0000-000000000000', $2)
               on conflict (week) do update set started_at = digest_runs.started_at
               returning org_cursor as "org: _", user_cursor as "user: _", finished_at"#,
            week.monday,
            now,
        )
        .fetch_one(db)
        .await
    }

    /// On to whatever comes after `org`.
    fn pass(&mut self, org: &Active) {
        (self.org, self.user) = (after(org.id), nobody());
    }

    async fn save(&self, db: &mut PgConnection, week: Week) -> sqlx::Result<()> {
        sqlx::query!(
            "update digest_runs set org_cursor = $2, user_cursor = $3, finished_at = $4
             where week = $1",
            week.monday,
            self.org as _,
            self.user as _,
            self.finished_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// An org that did something in the week.
struct Active {
    id: Id<Org>,
    name: String,
}

impl Active {
    /// The first at or after `from`.
    async fn next(db: &mut PgConnection, from: Id<Org>, week: Week) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name from orgs
               where id >= $1
                 and exists (select from usage_records
                             where org_id = orgs.id and created_at >= $2 and created_at < $3)
               order by id limit 1"#,
            from as _,
            week.start(),
            week.end(),
        )
        .fetch_optional(db)
        .await
    }
}

impl News {
    /// Queues the mails of the next page of members; false when there is none left.
    async fn send_page(&self, week: Week) -> anyhow::Result<bool> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let mut run = Run::lock(&mut tx, week, now).await?;
        if run.finished_at.is_some() {
            return Ok(false);
        }
        let Some(org) = Active::next(&mut tx, run.org, week).await? else {
            run.finished_at = Some(now);
            run.save(&mut tx, week).await?;
            tx.commit().await?;
            return Ok(false);
        };
        if org.id != run.org {
            (run.org, run.user) = (org.id, nobody());
        }
        let members = Recipient::members(&mut *tx, org.id, run.user, PAGE).await?;
        let mut queued = Ok(());
        if let Some(last) = members.last().and_then(|member| member.user) {
            run.user = last;
            queued = self.queue_digests(&mut tx, &org, &members, week, now).await;
        } else {
            run.pass(&org);
        }
        if let Err(error) = queued {
            // It may pass. If it never does, it is one org's trouble and nobody else's.
            if jobs::running().is_none_or(|it| it.attempt < SendDigests::MAX_ATTEMPTS) {
                return Err(error);
            }
            tracing::error!(org = %org.id, %error, "an org gets no digest");
            tx.rollback().await?;
            tx = self.db.begin().await?;
            run = Run::lock(&mut tx, week, now).await?;
            if run.org.uuid() <= org.id.uuid() {
                run.pass(&org);
            }
        }
        run.save(&mut tx, week).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn queue_digests(
        &self,
        db: &mut PgConnection,
        org: &Active,
        members: &[Recipient],
        week: Week,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let (report, models) = report(db, org.id, week, now).await?;
        let total = &report.split.total;
        let before = report.previous.as_ref().map_or(0, |it| it.total.calls);
        let cents = total.cost_nano_usd.0 / 10_000_000;
        let cost = format!("${}.{:02}", cents / 100, cents % 100);
        let users: Vec<Id<User>> = members.iter().filter_map(|member| member.user).collect();
        let unwilling = Category::Digest.turned_off_by(&mut *db, &users).await?;
        for Recipient { email, user, name } in members {
            if user.is_some_and(|user| unwilling.contains(&user)) {
                continue;
            }
            let digest = WeeklyDigest {
                name,
                org: &org.name,
                week: week.monday,
                calls: total.calls,
                cost: &cost,
                credits: total.credits,
                growth: (before > 0).then(|| (total.calls - before) * 100 / before),
                models: &models,
            };
            self.mailer.queue(db, email, *user, &digest).await?;
        }
        Ok(())
    }
}

/// Before every member.
fn nobody() -> Id<User> {
    Uuid::nil().into()
}

/// The next id that an org could have.
fn after(org: Id<Org>) -> Id<Org> {
    Uuid::from_u128(org.uuid().as_u128().saturating_add(1)).into()
}

/// What the org did, and the models it called most.
async fn report(
    db: &mut PgConnection,
    org: Id<Org>,
    week: Week,
    now: DateTime<Utc>,
) -> anyhow::Result<(Report, Vec<(String, i64)>)> {
    let query = ReportQuery {
        from: Some(week.start().into()),
        to: Some(week.end().into()),
        tz: Some("UTC".to_owned()),
        group_by: "model".to_owned(),
        compare: Some(Compare::Previous),
        ..ReportQuery::default()
    };
    let report = Report::of(db, org, &query, now).await?;
    let calls = |group: &usage::Group| Some((group.key.model.clone()?, group.totals.calls));
    let mut models: Vec<_> = report.groups.iter().filter_map(calls).collect();
    models.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    models.truncate(MODELS);
    Ok((report, models))
}
