use app::Module;
use chrono::{DateTime, Utc};
use db::Db;
use jobs::{Job, Registry, Schedule};
use kernel::Clock;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

/// The tables that are partitioned by month.
const TABLES: [&str; 3] = ["audit_events", "emails", "usage_records"];
/// For how many months after this one there is room.
const AHEAD: u32 = 2;

/// Makes room for this month and the coming ones.
pub(crate) async fn create_all(db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
    for table in TABLES {
        db::create_partitions(db, table, now, AHEAD).await?;
    }
    Ok(())
}

/// Does so every night, for programs that run for months.
pub(crate) fn module(db: Db, clock: Clock) -> Module {
    Module {
        jobs: Registry::default().with::<CreatePartitions>((db, clock)),
        schedules: vec![Schedule::cron("0 2 * * *", &CreatePartitions {})],
        ..Module::default()
    }
}

#[derive(Serialize, Deserialize)]
struct CreatePartitions {}

impl Job for CreatePartitions {
    const NAME: &'static str = "server.create_partitions";
    type Context = (Db, Clock);

    async fn run(self, (db, clock): Self::Context) -> anyhow::Result<()> {
        let mut tx = db.begin().await?;
        create_all(&mut tx, clock.now()).await?;
        Ok(tx.commit().await?)
    }
}
