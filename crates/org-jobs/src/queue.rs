use std::time::{Duration, Instant};

use axum::http::StatusCode;
use jobs::Enqueue;
use kernel::{Id, Org};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use tokio::sync::Mutex;
use web::Problem;

use crate::{By, OrgJob, OrgJobs, Work, ticket::Ticket};

/// How long the number of jobs that wait may be believed.
const FRESH: Duration = Duration::from_secs(1);
/// Items of one job.
const MOST_ITEMS: usize = 10_000;

/// How many jobs wait in all, as of a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Option<(Instant, i64)>>);

impl Waiting {
    async fn count(&self, db: &mut PgConnection) -> sqlx::Result<i64> {
        let mut known = self.0.lock().await;
        if let Some((at, count)) = *known
            && at.elapsed() < FRESH
        {
            return Ok(count);
        }
        let count =
            sqlx::query_scalar!(r#"select count(*) as "count!" from jobs where status = 'queued'"#);
        let count = count.fetch_one(db).await?;
        *known = Some((Instant::now(), count));
        Ok(count)
    }
}

impl OrgJobs {
    /// Queues a job of `items`, in the transaction of the owner that causes it. Refused if there are no items or
    /// too many, if too many jobs of the org wait (429), or too many in all (503).
    pub async fn queue<W: Work>(
        &self,
        db: &mut PgConnection,
        by: By,
        items: &[W],
    ) -> web::Result<OrgJob> {
        if !(1..=MOST_ITEMS).contains(&items.len()) {
            let detail = format!("a job has 1 to {MOST_ITEMS} items");
            return Err(Problem::unprocessable("wrong_number_of_items", detail));
        }
        if self.waiting.count(db).await? >= self.config.org_jobs_waiting_in_all {
            let detail = "too much work is waiting already";
            let full = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "job_queue_full", detail);
            return Err(full.retry_after(30).action("Try again in a while."));
        }
        if self.waiting_of(db, by.org).await? >= self.config.org_jobs_waiting {
            let detail = format!(
                "{} jobs of this organization are waiting already",
                self.config.org_jobs_waiting
            );
            let full = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_jobs", detail);
            return Err(full
                .retry_after(30)
                .action("Wait for some to end, call some off, or put more items into one job."));
        }
        let inputs = items.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
        let id = self.insert(db, by, W::KIND, &inputs.map_err(Problem::internal)?).await?;
        Enqueue::new(&Ticket {}).send(db).await?;
        OrgJob::find(&mut *db, id).await?.ok_or_else(|| Problem::internal(sqlx::Error::RowNotFound))
    }

    /// Those of one org that wait. Nobody else queues one of its before the transaction ends.
    async fn waiting_of(&self, db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<i64> {
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('org_jobs.queue:' || $1, 0))")
            .bind(org.to_string())
            .execute(&mut *db)
            .await?;
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from jobs where org_id = $1 and status = 'queued'"#,
            org as _,
        )
        .fetch_one(db)
        .await
    }

    async fn insert(
        &self,
        db: &mut PgConnection,
        by: By,
        kind: &str,
        inputs: &[Value],
    ) -> sqlx::Result<Id<OrgJob>> {
        let (id, now) = (Id::<OrgJob>::new(), self.clock.now());
        let items = i32::try_from(inputs.len()).unwrap_or(i32::MAX);
        sqlx::query!(
            "insert into jobs (id, org_id, user_id, api_key_id, kind, items, created_at, not_before, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
            id as _,
            by.org as _,
            by.user as _,
            by.api_key as _,
            kind,
            items,
            now,
            now + crate::job::KEPT,
        )
        .execute(&mut *db)
        .await?;
        let inputs: Vec<_> = inputs.iter().map(Json).collect();
        sqlx::query(
            "insert into job_items (job_id, position, org_id, input)
             select $1, position - 1, $2, input
             from unnest($3::json[]) with ordinality as it (input, position)",
        )
        .bind(id)
        .bind(by.org)
        .bind(inputs)
        .execute(db)
        .await?;
        Ok(id)
    }
}
