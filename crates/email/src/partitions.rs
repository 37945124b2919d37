use db::{Db, create_partitions};
use jobs::Job;
use kernel::Clock;
use serde::{Deserialize, Serialize};

/// Makes room for the mails of the coming months.
#[derive(Serialize, Deserialize)]
pub(crate) struct CreatePartitions {}

impl Job for CreatePartitions {
    const NAME: &'static str = "email.create_partitions";
    type Context = (Db, Clock);

    async fn run(self, (db, clock): Self::Context) -> anyhow::Result<()> {
        let mut tx = db.begin().await?;
        create_partitions(&mut tx, "emails", clock.now(), 2).await?;
        Ok(tx.commit().await?)
    }
}
