use ai::UNKEPT;
use chrono::{DateTime, TimeDelta, Utc};
use jobs::Job;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::Studio;

/// Forgets, of all orgs, what was kept long enough, and what is not to be kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeStudio {}

impl Job for PurgeStudio {
    const NAME: &'static str = "studio.purge";
    type Context = Studio;

    async fn run(self, studio: Studio) -> anyhow::Result<()> {
        let (db, now) = (studio.db.pool(), studio.clock.now());
        let kept = TimeDelta::days(studio.config.studio_kept_days.into());
        while old(db, now - kept).await? > 0 {}
        while unkept(db, now - UNKEPT).await? > 0 {}
        Ok(())
    }
}

/// Deletes some of what is older than `until`; answers how much.
async fn old(db: &PgPool, until: DateTime<Utc>) -> sqlx::Result<u64> {
    let creations = sqlx::query!(
        "delete from creations where id in (
             select c.id from creations c
             left join job_items i on i.job_id = c.job_id and i.position = c.position
             where c.created_at < $1 and (i.status is null or i.status not in ('queued', 'running'))
             limit 200)",
        until,
    );
    let conversations = sqlx::query!(
        "delete from conversations where updated_at < $1 and id in (
             select id from conversations where updated_at < $1 limit 200)",
        until,
    );
    let creations = creations.execute(db).await?.rows_affected();
    Ok(creations + conversations.execute(db).await?.rows_affected())
}

/// Takes the texts out of some creations, and deletes some conversations, of those who do not keep what they write to
/// models, if nothing has happened to them since `until`; answers how many.
async fn unkept(db: &PgPool, until: DateTime<Utc>) -> sqlx::Result<u64> {
    let creations = sqlx::query!(
        "with gone as (
             update creations set brief = null, instructions = '', note = null
             where id in (
                 select c.id from creations c
                 left join job_items i on i.job_id = c.job_id and i.position = c.position
                 where c.updated_at < $1 and not keeps_prompts(c.org_id, c.user_id)
                   and (i.status is null or i.status not in ('queued', 'running'))
                   and (c.brief is not null or c.note is not null or c.instructions <> ''
                        or exists (select from creation_steps s where s.creation_id = c.id
                                   and (s.output is not null or s.problem is not null)))
                 limit 200)
             returning id)
         update creation_steps s set output = null, problem = null
         from gone where s.creation_id = gone.id",
        until,
    );
    let conversations = sqlx::query!(
        "delete from conversations where id in (
             select id from conversations
             where updated_at < $1 and not keeps_prompts(org_id, user_id) limit 200)",
        until,
    );
    let creations = creations.execute(db).await?.rows_affected();
    Ok(creations + conversations.execute(db).await?.rows_affected())
}
