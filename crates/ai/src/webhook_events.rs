//! What customers' programs are told of AI calls and of what limits them.

use app::{Event, EventType};
use kernel::Id;
use quotas::{Budget, BudgetAlert, Kind, Period, Scope, Unit};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    batches::{Batch, Status},
    generations::Generation,
};

pub(crate) fn types() -> Vec<EventType> {
    vec![
        EventType::of::<GenerationCompleted>(),
        EventType::of::<GenerationFailed>(),
        EventType::of::<BatchEnded>(),
        EventType::of::<BudgetThresholdReached>(),
        EventType::of::<CreditsLow>(),
    ]
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GenerationCompleted {
    /// Which: `GET /v1/generations/{id}` has the answer.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) generation_id: Id<Generation>,
    /// `chat`, `embedding` or `image`.
    pub(crate) operation: String,
}

impl Event for GenerationCompleted {
    const TYPE: &'static str = "generation.completed";
    const DESCRIPTION: &'static str =
        "An AI call that nobody waited for (`Prefer: respond-async`) has its answer.";

    fn example() -> Self {
        Self { generation_id: example_id(), operation: "chat".into() }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GenerationFailed {
    /// Which: `GET /v1/generations/{id}` says why.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) generation_id: Id<Generation>,
    /// `chat`, `embedding` or `image`.
    pub(crate) operation: String,
    /// The problem's code.
    pub(crate) code: String,
}

impl Event for GenerationFailed {
    const TYPE: &'static str = "generation.failed";
    const DESCRIPTION: &'static str =
        "An AI call that nobody waited for failed, and will not be made again.";

    fn example() -> Self {
        Self {
            generation_id: example_id(),
            operation: "chat".into(),
            code: "insufficient_credits".into(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchEnded {
    /// Which: `GET /v1/batches/{id}` names its files.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) batch_id: Id<Batch>,
    /// `completed`, `expired` or `cancelled`.
    #[schema(value_type = String)]
    pub(crate) status: Status,
    /// Calls that succeeded.
    pub(crate) completed: i32,
    /// Calls that failed.
    pub(crate) failed: i32,
}

impl Event for BatchEnded {
    const TYPE: &'static str = "batch.ended";
    const DESCRIPTION: &'static str = "A batch of AI calls has ended, and its files are there.";

    fn example() -> Self {
        Self { batch_id: example_id(), status: Status::Completed, completed: 98, failed: 2 }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetThresholdReached {
    /// Which budget.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) budget_id: Id<Budget>,
    /// Whose use it counts: `org`, `project`, `user` or `key`.
    #[schema(value_type = String)]
    pub(crate) scope: Scope,
    /// `day`, `month` or `lifetime`.
    #[schema(value_type = String)]
    pub(crate) period: Period,
    /// What it counts: `requests`, `tokens` or `nano_usd`.
    #[schema(value_type = String)]
    pub(crate) unit: Unit,
    /// The one operation it counts; null: all.
    pub(crate) operation: Option<String>,
    /// How many percent are used up: 50, 80 or 100.
    pub(crate) threshold_percent: i16,
    /// Whether calls that count for it are refused at 100, rather than paid with credits or only told of.
    pub(crate) refuses: bool,
}

impl From<&BudgetAlert> for BudgetThresholdReached {
    fn from(alert: &BudgetAlert) -> Self {
        Self {
            budget_id: alert.budget,
            scope: alert.scope,
            period: alert.period,
            unit: alert.unit,
            operation: alert.operation.clone(),
            threshold_percent: alert.threshold,
            refuses: alert.kind == Kind::Limit && !alert.soft,
        }
    }
}

impl Event for BudgetThresholdReached {
    const TYPE: &'static str = "budget.threshold_reached";
    const DESCRIPTION: &'static str = "50, 80 or 100 percent of a budget, or of what the plan includes, are used up; each is told once a period.";

    fn example() -> Self {
        Self {
            budget_id: example_id(),
            scope: Scope::Org,
            period: Period::Month,
            unit: Unit::NanoUsd,
            operation: None,
            threshold_percent: 80,
            refuses: true,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreditsLow {
    /// How many are left; 0: calls beyond what the plan includes are refused.
    pub(crate) left: i64,
}

impl Event for CreditsLow {
    const TYPE: &'static str = "credits.low";
    const DESCRIPTION: &'static str = "A fifth of the credits is left, or none; each is told once until there are new ones, within ten minutes.";

    fn example() -> Self {
        Self { left: 20 }
    }
}

fn example_id<T>() -> Id<T> {
    Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into()
}
