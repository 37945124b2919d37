use kernel::{Id, User};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use web::Problem;

use super::{
    creation::Creation,
    step::{Step, StepName, StepStatus},
};
use crate::text;

/// How good somebody finds a result.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatingInput {
    /// From bad to good.
    #[schema(minimum = 1, maximum = 5)]
    stars: i16,
    /// What there is to say about it.
    #[schema(max_length = 2000)]
    note: Option<String>,
}

impl RatingInput {
    /// Notes it, instead of the one before.
    pub(super) async fn give(
        self,
        db: &mut PgConnection,
        by: Id<User>,
        id: Id<Creation>,
    ) -> web::Result<()> {
        if !(1..=5).contains(&self.stars) {
            return Err(Problem::invalid_field("/stars", "must be between 1 and 5"));
        }
        if let Some(note) = &self.note {
            text::check(note, 2000, "/note")?;
        }
        let steps = Creation::get(db, by, id).await?.steps;
        let is_result =
            |it: &Step| it.name == StepName::Result && it.status == StepStatus::Answered;
        if !steps.iter().any(is_result) {
            let detail = "there is no result to rate";
            return Err(Problem::conflict("creation_not_made", detail));
        }
        sqlx::query!(
            "update creations set stars = $2, note = $3 where id = $1",
            id as _,
            self.stars,
            self.note,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
