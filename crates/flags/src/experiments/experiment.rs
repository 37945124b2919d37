use audit::{Entry, Origin};
use chrono::{DateTime, Days, Utc};
use kernel::{Id, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use super::Variant;
use crate::{Error, Flags, Result, error::check_key, part::hundredth};

/// A question to the people who use the product. What is asked never changes once it has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Experiment {
    /// What your code calls it.
    pub key: String,
    /// What is asked.
    pub description: String,
    /// How many of a hundred people take part.
    pub percentage: i16,
    /// How many people must have met each variant before there is an answer.
    pub sample: i32,
    /// Since when.
    pub begun_at: DateTime<Utc>,
    /// When it ends without an answer.
    pub ends_at: DateTime<Utc>,
    /// When it ended; null while it runs.
    pub ended_at: Option<DateTime<Utc>>,
    /// What is shown to everybody since it ended; null: neither did better than chance would, and
    /// everybody is shown the control.
    pub winner: Option<Variant>,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExperiment {
    /// What your code calls it: letters, digits, `-` and `_`.
    pub(crate) key: String,
    /// What is asked, for operators.
    #[schema(max_length = 500)]
    pub(crate) description: String,
    /// How many of a hundred people take part.
    #[schema(minimum = 1, maximum = 100)]
    pub(crate) percentage: i16,
    /// How many people must have met each variant before there is an answer. To tell 10 % from 12 % takes
    /// about 3,800.
    #[schema(minimum = 1)]
    pub(crate) sample: i32,
    /// After how many days it ends in any case.
    #[schema(minimum = 1, maximum = 365)]
    pub(crate) days: i32,
}

impl Experiment {
    /// The variant of somebody while it runs; `None`: they take no part.
    pub(crate) fn lot(&self, user: Id<User>) -> Option<Variant> {
        if hundredth(&format!("{}/part", self.key), user.uuid()) >= self.percentage {
            return None;
        }
        let half = hundredth(&format!("{}/variant", self.key), user.uuid()) < 50;
        Some(if half { Variant::Control } else { Variant::Treatment })
    }

    pub(crate) async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select key, description, percentage, sample, begun_at, ends_at, ended_at,
                      winner as "winner: Variant"
               from experiments
               order by begun_at desc, key"#,
        )
        .fetch_all(db)
        .await
    }
}

impl NewExperiment {
    fn check(&self) -> Result<()> {
        check_key(&self.key)?;
        if self.description.chars().count() > 500 {
            return Err(Error::Invalid("/description", "has 500 characters at most"));
        }
        if !(1..=100).contains(&self.percentage) {
            return Err(Error::Invalid("/percentage", "is a number from 1 to 100"));
        }
        if self.sample < 1 {
            return Err(Error::Invalid("/sample", "is at least 1"));
        }
        if !(1..=365).contains(&self.days) {
            return Err(Error::Invalid("/days", "is a number from 1 to 365"));
        }
        Ok(())
    }
}

impl Flags {
    /// Begins an experiment.
    pub(crate) async fn begin(&self, new: NewExperiment, origin: &Origin) -> Result<Experiment> {
        new.check()?;
        let begun_at = self.clock.now();
        let ends_at = begun_at + Days::new(u64::try_from(new.days).unwrap_or_default());
        let mut tx = self.db.begin().await?;
        let begun = sqlx::query!(
            "insert into experiments (key, description, percentage, sample, begun_at, ends_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict do nothing",
            new.key,
            new.description,
            new.percentage,
            new.sample,
            begun_at,
            ends_at,
        )
        .execute(&mut *tx)
        .await?;
        if begun.rows_affected() == 0 {
            return Err(Error::Exists);
        }
        let entry = Entry::new(origin, None, "experiment.begun", &new.key).after(json!(new));
        entry.record(&mut tx, begun_at).await?;
        tx.commit().await?;
        self.experiments.forget();
        let NewExperiment { key, description, percentage, sample, .. } = new;
        let (ended_at, winner) = (None, None);
        Ok(Experiment { key, description, percentage, sample, begun_at, ends_at, ended_at, winner })
    }
}
