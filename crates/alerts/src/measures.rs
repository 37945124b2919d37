use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use sqlx::PgPool;
use usage::Drift;

type Measured = BoxFuture<'static, anyhow::Result<Option<i64>>>;

pub(crate) fn error_rate(db: PgPool, now: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        let percent = sqlx::query_scalar!(
            r#"select (100 * sum(errors) / sum(answers))::bigint as "percent!"
               from alert_answers
               where minute > $1
               having sum(answers) >= 50"#,
            now - TimeDelta::minutes(5),
        );
        Ok(percent.fetch_optional(&db).await?)
    })
}

pub(crate) fn queue_age(db: PgPool, _: DateTime<Utc>) -> Measured {
    Box::pin(async move { Ok(Some(jobs::stats(&db).await?.oldest_ready_seconds)) })
}

pub(crate) fn dead_letters(db: PgPool, _: DateTime<Utc>) -> Measured {
    Box::pin(async move { Ok(Some(jobs::stats(&db).await?.failed)) })
}

pub(crate) fn spend(db: PgPool, now: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        let recent = now - TimeDelta::hours(1);
        // The lines of all orgs together are under the nil id, by the quarter of an hour.
        let percent = sqlx::query_scalar!(
            r#"with quarters as (
                   select slot, slot > $1 as recent, cost_nano_usd as cost from usage_rollups
                   where org_id = '00000000-0000-0000-0000-000000000000' and not detail and grain = 15
                     and slot > $2)
               select (100 * 7 * 24 * sum(cost) filter (where recent)
                       / nullif(sum(cost) filter (where not recent), 0))::bigint as percent
               from quarters
               having sum(cost) filter (where recent) > 10000000000"#,
            recent,
            recent - TimeDelta::days(7),
        );
        Ok(percent.fetch_optional(&db).await?.flatten())
    })
}

pub(crate) fn provider_drift(db: PgPool, now: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        let drifts = Drift::recent(&db, now).await?;
        Ok(drifts.iter().filter_map(Drift::percent).max().map(i64::from))
    })
}

pub(crate) fn stripe_lag(db: PgPool, now: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        let first = sqlx::query_scalar!(
            "select min(received_at) from stripe_events where handled_at is null"
        );
        let first = first.fetch_one(&db).await?;
        Ok(Some(first.map_or(0, |first| (now - first).num_seconds())))
    })
}

pub(crate) fn late_deletions(db: PgPool, now: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        let first = sqlx::query_scalar!(
            "select min(due_at) from deletions
             where cancelled_at is null and done_at is null and due_at <= $1",
            now,
        );
        let first = first.fetch_one(&db).await?;
        Ok(Some(first.map_or(0, |first| (now - first).num_hours())))
    })
}

pub(crate) fn bounces(db: PgPool, now: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        let percent = sqlx::query_scalar!(
            r#"select (100 * count(*) filter (where status in ('bounced', 'complained', 'dead')) / count(*))::bigint
                   as "percent!"
               from emails
               where created_at > $1 and status <> 'queued'
               having count(*) >= 20"#,
            now - TimeDelta::days(1),
        );
        Ok(percent.fetch_optional(&db).await?)
    })
}

pub(crate) fn backup_age(db: PgPool, now: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        let newest = sqlx::query_scalar!(
            "select coalesce(max(started_at) filter (where bytes is not null), min(started_at)) from backups"
        );
        // Where none was ever tried, nobody wants any.
        Ok(newest.fetch_one(&db).await?.map(|newest| (now - newest).num_hours()))
    })
}

pub(crate) fn workers(db: PgPool, _: DateTime<Utc>) -> Measured {
    Box::pin(async move {
        // One that is silent for too long is forgotten by the others.
        Ok(i64::try_from(jobs::instances(&db).await?.len()).ok())
    })
}

pub(crate) fn schedules(db: PgPool, _: DateTime<Utc>) -> Measured {
    Box::pin(async move { Ok(Some(jobs::missed_slots(&db).await?)) })
}
