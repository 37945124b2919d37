use chrono::{DateTime, Utc};
use kernel::{Id, User};
use org_jobs::{OrgJob, Status};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use uuid::Uuid;
use web::Problem;

use super::{quality::Quality, step::Step};
use crate::templates::Template;

/// Something that a model makes for somebody.
///
/// It is theirs alone: the queries run in a transaction of their org, and name the person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Creation {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Creation>,
    /// How far it is.
    pub(crate) status: Status,
    /// The job that makes it, or made it last.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) job_id: Id<OrgJob>,
    /// What it is made for, to budgets and in reports of usage.
    pub(crate) project_id: Option<Uuid>,
    /// From which template its brief was made.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) template_id: Option<Id<Template>>,
    /// In which version.
    pub(crate) template_version: Option<i64>,
    /// The model that is asked, or the name of a route.
    pub(crate) model: String,
    /// What it is about; absent once it is not kept any more. A list has its beginning only.
    pub(crate) brief: Option<String>,
    /// How good the result looks, of a hundred points.
    #[schema(minimum = 0, maximum = 100)]
    pub(crate) quality: Option<i16>,
    /// What points were taken off for: `empty`, `refused`, `cut_off`, `short`, `repetitive`.
    pub(crate) quality_reasons: Vec<String>,
    /// How good you find it.
    #[schema(minimum = 1, maximum = 5)]
    pub(crate) stars: Option<i16>,
    /// What you have to say about it.
    pub(crate) note: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A creation and its steps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreationWithSteps)]
pub(crate) struct Shown {
    #[serde(flatten)]
    pub(crate) creation: Creation,
    pub(crate) steps: Vec<Step>,
}

/// Which of somebody's creations.
#[derive(Debug, Default)]
pub(crate) struct Which {
    pub(crate) id: Option<Id<Creation>>,
    pub(crate) job: Option<Uuid>,
    pub(crate) min_quality: Option<i16>,
    pub(crate) before: Option<Id<Creation>>,
}

impl Creation {
    /// Up to `rows` of them, the newest first, each with the beginning of its brief, up to `chars` characters.
    pub(crate) async fn select(
        db: impl PgExecutor<'_>,
        of: Id<User>,
        which: &Which,
        chars: i32,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select c.id as "id: _", c.job_id as "job_id: _", c.project_id,
                      c.template_id as "template_id: _", c.template_version, c.model,
                      left(c.brief, $6) as brief, c.quality, c.quality_reasons, c.stars, c.note,
                      c.created_at, c.updated_at,
                      case when r.status = 'answered' then 'succeeded'
                           when i.status in ('queued', 'running') then i.status
                           when i.status = 'failed' or 'failed' in (p.status, r.status)
                             or 'unknown' in (p.status, r.status) then 'failed'
                           else 'cancelled' end as "status!: Status"
               from creations c
               join creation_steps p on p.creation_id = c.id and p.step = 'plan'
               join creation_steps r on r.creation_id = c.id and r.step = 'result'
               left join job_items i on i.job_id = c.job_id and i.position = c.position
               where c.user_id = $1 and ($2::uuid is null or c.id = $2)
                 and ($3::uuid is null or c.job_id = $3) and ($4::smallint is null or c.quality >= $4)
                 and ($5::uuid is null or c.id < $5)
               order by c.id desc
               limit $7"#,
            of as _,
            which.id as _,
            which.job,
            which.min_quality,
            which.before as _,
            chars,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of somebody's.
    pub(crate) async fn get(
        db: &mut PgConnection,
        of: Id<User>,
        id: Id<Self>,
    ) -> web::Result<Shown> {
        let which = Which { id: Some(id), ..Which::default() };
        let found = Self::select(&mut *db, of, &which, i32::MAX, 1).await?.pop();
        let creation = found.ok_or_else(not_found)?;
        Ok(Shown { creation, steps: Step::list(db, id).await? })
    }

    /// Lets nobody else change it before the transaction ends. Refused while it is being made.
    pub(crate) async fn lock(db: &mut PgConnection, of: Id<User>, id: Id<Self>) -> web::Result<()> {
        let locked = sqlx::query_scalar!(
            r#"select id as "id: Id<Creation>" from creations where id = $1 and user_id = $2 for update"#,
            id as _,
            of as _,
        );
        locked.fetch_optional(&mut *db).await?.ok_or_else(not_found)?;
        // Another statement, which sees what whoever had it locked did.
        let is_under_way = sqlx::query_scalar!(
            r#"select exists (
                   select from creations c
                   join job_items i on i.job_id = c.job_id and i.position = c.position
                   where c.id = $1 and i.status in ('queued', 'running')) as "it_is!""#,
            id as _,
        );
        if is_under_way.fetch_one(db).await? {
            let detail = "the creation is being made";
            return Err(Problem::conflict("creation_under_way", detail)
                .action("Wait for its job to end, or call that off."));
        }
        Ok(())
    }

    /// Notes how good the result looks, and forgets what led to it unless that is kept.
    pub(crate) async fn finish(
        db: &mut PgConnection,
        id: Id<Self>,
        quality: &Quality,
        keeps: bool,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "with plan as (
                 update creation_steps set output = null
                 where creation_id = $1 and step = 'plan' and not $4)
             update creations
             set quality = $2, quality_reasons = $3, updated_at = $5,
                 brief = case when $4 then brief end,
                 instructions = case when $4 then instructions else '' end
             where id = $1",
            id as _,
            quality.score,
            &quality.reasons,
            keeps,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

pub(crate) fn not_found() -> Problem {
    Problem::not_found("creation_not_found", "there is no such creation")
        .action("List the creations to see which there are.")
}
