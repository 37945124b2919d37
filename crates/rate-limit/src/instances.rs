use std::time::Duration;

use db::Db;
use uuid::Uuid;

use crate::share::BEAT;

/// Without a sign of life for so long, an instance is dead and its share goes to the others.
const LEASE: Duration = Duration::from_secs(5 * BEAT.as_secs());

/// This instance among those that serve the API, by leases in Postgres and on its clock.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    db: Db,
    id: Uuid,
}

impl Instance {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, id: Uuid::now_v7() }
    }

    /// Renews the lease; returns how many others hold one. Two statements, so that of two that
    /// begin at once at least one sees the other.
    pub(crate) async fn renew(&self) -> sqlx::Result<u32> {
        sqlx::query!(
            "with dead as (delete from instances where expires_at < now() and id <> $1)
             insert into instances (id, expires_at) values ($1, now() + make_interval(secs => $2))
             on conflict (id) do update set expires_at = excluded.expires_at",
            self.id,
            LEASE.as_secs_f64(),
        )
        .execute(self.db.pool())
        .await?;
        let others = sqlx::query_scalar!(
            r#"select count(*) as "count!" from instances where id <> $1 and expires_at >= now()"#,
            self.id,
        )
        .fetch_one(self.db.pool())
        .await?;
        Ok(others.try_into().unwrap_or(u32::MAX - 1))
    }

    /// Gives the lease back, so that the others need not wait for its end.
    pub(crate) async fn leave(&self) -> sqlx::Result<()> {
        sqlx::query!("delete from instances where id = $1", self.id)
            .execute(self.db.pool())
            .await?;
        Ok(())
    }
}
