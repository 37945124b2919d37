use kernel::{Id, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Experiment;
use crate::{Error, Flags, Result};

/// One of the two things that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Variant {
    /// What there is already.
    Control,
    /// What might be better.
    Treatment,
}

impl Flags {
    /// Which variant `user` is to be shown, which they now have met. Always the same while the
    /// experiment runs; then the winner. Who takes no part is shown the control.
    ///
    /// # Errors
    /// There is no such experiment, or the database cannot be reached: show the control.
    pub async fn expose(&self, key: &str, user: Id<User>) -> Result<Variant> {
        let experiment = self.experiment(key).await?;
        if experiment.ended_at.is_some() {
            return Ok(experiment.winner.unwrap_or(Variant::Control));
        }
        let Some(variant) = experiment.lot(user) else { return Ok(Variant::Control) };
        sqlx::query!(
            "insert into experiment_exposures (experiment, user_id, variant, exposed_at)
             select key, $2, $3, $4 from experiments e where key = $1 and ended_at is null
                 and not exists (select from experiment_exposures
                                 where experiment = $1 and user_id = $2)
             for share of e
             on conflict do nothing",
            key,
            user as _,
            variant as _,
            self.clock.now(),
        )
        .execute(self.db.pool())
        .await?;
        Ok(variant)
    }

    /// Notes that `user` did what the experiment hopes for. It counts once, of those who have met a variant
    /// before, while the experiment runs.
    pub async fn convert(&self, key: &str, user: Id<User>) -> Result<()> {
        if self.experiment(key).await?.ended_at.is_some() {
            return Ok(());
        }
        sqlx::query!(
            "with running as (
                 select from experiments where key = $1 and ended_at is null for share)
             update experiment_exposures set converted_at = $3
             where experiment = $1 and user_id = $2 and converted_at is null
               and exists (select from running)",
            key,
            user as _,
            self.clock.now(),
        )
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    async fn experiment(&self, key: &str) -> Result<Experiment> {
        let all = self.experiments.get(Experiment::list(self.db.pool())).await?;
        all.iter().find(|it| it.key == key).cloned().ok_or(Error::NoSuchExperiment)
    }
}
