
/// Queues jobs in one round trip, each with a [key](Enqueue::key). Give them in the order of their keys if
/// others may queue the same ones at the same time.
pub async fn enqueue_all<J: Job>(db: &mut PgConnection, jobs: &[(String, J)]) -> sqlx::Result<()> {
    let (keys, payloads): (Vec<_>, Vec<_>) =
        jobs.iter().map(|(key, job)| (key.as_str(), Json(Envelope { job }))).unzip();
    sqlx::query(
        "select graphile_worker.add_job(
             identifier => $1, payload => it.payload, max_attempts => $2, job_key => it.key)
         from unnest($3::text[], $4::json[]) as it (key, payload)",
    )
    .bind(J::NAME)
    .bind(i32::from(J::MAX_ATTEMPTS))
    .bind(keys)
    .bind(payloads)
    .execute(db)
    .await?;
    Ok(())
}
