//! The rules of the queue, against a real Postgres.

mod lanes;
mod leases;
mod operators;
mod outages;
mod payloads;
mod queue;
mod support;
mod worker;

use jobs::{Job, enqueue};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

#[derive(Serialize, Deserialize)]
pub(crate) struct Fail;

impl Job for Fail {
    const NAME: &'static str = "test/fail";
    const MAX_ATTEMPTS: i16 = 3;
    type Context = ();

    async fn run(self, (): ()) -> anyhow::Result<()> {
        Err(anyhow::anyhow!("no route").context("cannot send"))
    }
}

pub(crate) async fn enqueue_now<J: Job>(db: &PgPool, job: &J) {
    enqueue(&mut db.acquire().await.unwrap(), job).await.unwrap();
}
