use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use uuid::Uuid;

use super::creation::Creation;

/// What is done for a creation, in this order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = CreationStepName)]
pub(crate) enum StepName {
    /// How to go about it.
    Plan,
    /// What was asked for.
    Result,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = CreationStepStatus)]
pub(crate) enum StepStatus {
    /// It has not been begun.
    Waiting,
    /// A model works on it.
    Asked,
    /// There is an answer.
    Answered,
    /// There is none, and nothing was charged.
    Failed,
    /// We lost track of the call. It was not charged, and is not made again unless you say so.
    Unknown,
}

/// One step of a creation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreationStep)]
pub(crate) struct Step {
    #[serde(rename = "step")]
    pub(crate) name: StepName,
    pub(crate) status: StepStatus,
    /// How often a model was asked.
    pub(crate) attempt: i32,
    /// What it answered; absent, too, once it is not kept any more.
    pub(crate) output: Option<String>,
    /// Why there is no answer.
    #[schema(value_type = Option<Object>)]
    pub(crate) problem: Option<Value>,
    /// The call, as in `GET /v1/usage/records`.
    pub(crate) call_id: Option<Uuid>,
    /// Who answered.
    pub(crate) model: Option<String>,
    /// What it cost, in billionths of a dollar.
    pub(crate) cost_nano_usd: Option<i64>,
}

/// A step that is being taken, for the how manyth time: whoever takes it anew has another number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) creation: Id<Creation>,
    pub(crate) step: StepName,
    pub(crate) attempt: i32,
}

/// What a model answered.
pub(crate) struct Answered<'a> {
    pub(crate) output: &'a str,
    pub(crate) call: Uuid,
    pub(crate) model: &'a str,
}

impl Step {
    /// Those of a creation, in their order.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        creation: Id<Creation>,
    ) -> sqlx::Result<Vec<Self>> {
        // In the order of the alphabet, too.
        sqlx::query_as!(
            Self,
            r#"select step as "name: _", status as "status: _", attempt, output, problem, call_id,
                      model, cost_nano_usd
               from creation_steps
               where creation_id = $1
               order by step"#,
            creation as _,
        )
        .fetch_all(db)
        .await
    }

    /// Lets `first` and what follows it wait to be taken (again).
    pub(crate) async fn reset(
        db: &mut PgConnection,
        creation: Id<Creation>,
        first: StepName,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update creation_steps
             set status = 'waiting', output = null, problem = null, call_id = null, model = null,
                 cost_nano_usd = null
             where creation_id = $1 and step >= $2",
            creation as _,
            first as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Taken {
    /// Begins a step, unless somebody else does.
    pub(crate) async fn begin(
        db: impl PgExecutor<'_>,
        creation: Id<Creation>,
        step: StepName,
    ) -> sqlx::Result<Option<Self>> {
        let attempt = sqlx::query_scalar!(
            "update creation_steps set status = 'asked', attempt = attempt + 1, problem = null
             where creation_id = $1 and step = $2 and status in ('waiting', 'failed')
             returning attempt",
            creation as _,
            step as _,
        )
        .fetch_optional(db)
        .await?;
        Ok(attempt.map(|attempt| Self { creation, step, attempt }))
    }

    /// Keeps the answer; `false` if the step is no longer ours.
    pub(crate) async fn answer(
        self,
        db: &mut PgConnection,
        answered: Answered<'_>,
    ) -> sqlx::Result<bool> {
        let kept = sqlx::query!(
            "update creation_steps set status = 'answered', output = $4, call_id = $5, model = $6
             where creation_id = $1 and step = $2 and attempt = $3 and status = 'asked'",
            self.creation as _,
            self.step as _,
            self.attempt,
            answered.output,
            answered.call,
            answered.model,
        );
        Ok(kept.execute(db).await?.rows_affected() == 1)
    }

    /// Notes what it cost, once that is booked.
    pub(crate) async fn cost(self, db: impl PgExecutor<'_>, nano_usd: i64) -> sqlx::Result<()> {
        sqlx::query!(
            "update creation_steps set cost_nano_usd = $4
             where creation_id = $1 and step = $2 and attempt = $3 and status = 'answered'",
            self.creation as _,
            self.step as _,
            self.attempt,
            nano_usd,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Notes why there is no answer.
    pub(crate) async fn fail(
        self,
        db: impl PgExecutor<'_>,
        status: StepStatus,
        problem: &Value,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update creation_steps set status = $4, problem = $5
             where creation_id = $1 and step = $2 and attempt = $3 and status = 'asked'",
            self.creation as _,
            self.step as _,
            self.attempt,
            status as _,
            problem,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
