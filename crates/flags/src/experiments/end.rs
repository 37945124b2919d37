use audit::{Entry, Origin};
use jobs::Job;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Experiment, Variant, result::Outcome};
use crate::{Error, Flags, Result};

/// Ends experiments that have their sample, or whose time is over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndExperiments {}

impl Job for EndExperiments {
    const NAME: &'static str = "flags.end_experiments";
    type Context = Flags;

    async fn run(self, flags: Flags) -> anyhow::Result<()> {
        let now = flags.clock.now();
        let all = Experiment::list(flags.db.pool()).await?;
        for it in all.into_iter().filter(|it| it.ended_at.is_none()) {
            let so_far = Outcome::read(flags.db.pool(), &it.key).await?;
            let sample = i64::from(it.sample);
            let complete = so_far.control.exposed >= sample && so_far.treatment.exposed >= sample;
            if complete || it.ends_at <= now {
                match flags.end(&it.key, &Origin::SYSTEM).await {
                    Ok(_) | Err(Error::Ended) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

impl Flags {
    /// Ends an experiment: everybody is shown the winner, if there is one. An answer needs the whole sample;
    /// before that it ends without one.
    pub(crate) async fn end(&self, key: &str, origin: &Origin) -> Result<Option<Variant>> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let found = sqlx::query!(
            "select sample, ended_at from experiments where key = $1 for update",
            key,
        )
        .fetch_optional(&mut *tx)
        .await?
        .ok_or(Error::NoSuchExperiment)?;
        if found.ended_at.is_some() {
            return Err(Error::Ended);
        }
        let outcome = Outcome::read(&mut *tx, key).await?;
        let least = outcome.control.exposed.min(outcome.treatment.exposed);
        let winner = outcome.winner().filter(|_| least >= i64::from(found.sample));
        sqlx::query!(
            "update experiments set ended_at = $2, winner = $3 where key = $1",
            key,
            now,
            winner as _,
        )
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(origin, None, "experiment.ended", key);
        let entry = entry.after(json!({ "winner": winner, "outcome": outcome }));
        entry.record(&mut tx, now).await?;
        tx.commit().await?;
        self.experiments.forget();
        Ok(winner)
    }
}
