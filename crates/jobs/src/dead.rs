use sqlx::PgConnection;

/// Gives a job that failed all its attempts, or waits for the next one, a full set of attempts, beginning now.
/// `false` if there is no such job, it runs, or another with its key has replaced it.
pub async fn retry(db: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let retried = sqlx::query(
        "with retried as (
             update graphile_worker._private_jobs job
             set attempts = 0, run_at = now(), updated_at = now()
             where id = $1 and locked_at is null
               and not exists (select from graphile_worker._private_job_retirements it where it.id = job.id)
             returning id)
         select pg_notify('jobs:insert', ''), id from retried",
    );
    Ok(retried.bind(id).fetch_optional(db).await?.is_some())
}

/// Removes a job that does not run just now: it will never be done. `false` if there is no such job.
pub async fn discard(db: &mut PgConnection, id: i64) -> sqlx::Result<bool> {
    let discarded = sqlx::query(
        "delete from graphile_worker._private_jobs where id = $1 and locked_at is null",
    );
    Ok(discarded.bind(id).execute(db).await?.rows_affected() == 1)
}

/// Removes jobs that do not run just now and that carry one of `words` as a value, such as an id or an address; answers how
/// many. That others failed because of one of `words` is forgotten: those are still to be done.
pub async fn discard_carrying(db: &mut PgConnection, words: &[String]) -> sqlx::Result<u64> {
    let forgotten = sqlx::query(
        "update graphile_worker._private_jobs job set last_error = null
         where locked_at is null
           and exists (select from unnest($1::text[]) word
                       where strpos(lower(job.last_error), lower(word)) > 0)",
    );
    forgotten.bind(words).execute(&mut *db).await?;
    let discarded = sqlx::query(
        r#"delete from graphile_worker._private_jobs job
         where locked_at is null
           and exists (select from unnest($1::text[]) word
                       where strpos(lower(job.payload::text), '"' || lower(word) || '"') > 0)"#,
    );
    Ok(discarded.bind(words).execute(db).await?.rows_affected())
}
