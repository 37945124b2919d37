use std::sync::Arc;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use kernel::Id;
use web::Problem;

use crate::{Budget, Exhausted, Refusal, Scope, Unit};

/// What this crate's operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call could not be reserved, settled or accounted for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It may not start.
    #[error("refused: {refusal:?}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// When it was decided, to say how long to wait.
        at: DateTime<Utc>,
    },
    /// No budget of this org that people set.
    #[error("there is no such budget")]
    BudgetNotFound,
    /// There is one for the same use, period, unit and operation.
    #[error("there is a budget like this already")]
    BudgetExists {
        /// Which.
        id: Id<Budget>,
    },
    /// Each is locked by every call, so there is a bound.
    #[error("there are {most} budgets already")]
    TooManyBudgets {
        /// How many there may be.
        most: i64,
    },
    /// A month's books can be closed an hour after its end.
    #[error("the month is not over")]
    MonthNotOver,
    /// Months are closed in their order.
    #[error("a later month is closed already; what this one has is in that")]
    LaterMonthClosed,
    /// There is nothing to export yet.
    #[error("the month is not closed")]
    MonthNotClosed,
    /// A value is not acceptable.
    #[error(transparent)]
    Invalid(#[from] Problem),
    /// Postgres failed; shared with everyone in the same batch.
    #[error(transparent)]
    Database(#[from] Arc<sqlx::Error>),
    /// The process is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused { refusal, at } => refused(refusal, at),
            Error::MonthNotOver => Self::conflict("month_not_over", error.to_string())
                .action("Close it an hour after its end, in UTC."),
            Error::LaterMonthClosed => Self::conflict("later_month_closed", error.to_string())
                .action("Export the later month: what was booked late is marked there."),
            Error::MonthNotClosed => Self::not_found("month_not_closed", error.to_string())
                .action("Close it with PUT /admin/v1/ledger/closes/{month}."),
            Error::BudgetNotFound => Self::not_found("budget_not_found", error.to_string()),
            Error::BudgetExists { id } => Self::conflict("budget_exists", error.to_string())
                .action("Change its amount instead.")
                .with("id", id.to_string()),
            Error::TooManyBudgets { .. } => Self::conflict("too_many_budgets", error.to_string())
                .action("Remove one that is no longer needed."),
            Error::Invalid(problem) => problem,
            Error::Database(error) if db::is_outage(&error) => Self::unavailable(error),
            Error::Database(error) => Self::internal(error),
            Error::ShuttingDown => Self::unavailable(error),
        }
    }
}

fn refused(refusal: Refusal, at: DateTime<Utc>) -> Problem {
    match refusal {
        Refusal::BudgetExhausted(full) if full.scope == Scope::Global => {
            let detail = "AI calls are paused until the platform's budget begins anew";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ai_unavailable", detail);
            with_reset(problem, &full, at)
        }
        Refusal::BudgetExhausted(full) if full.unit == Unit::Unknowns => {
            let detail = "too many calls ended today without anybody learning how";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exhausted", detail)
                .action("Stop breaking off calls, or contact support if it was not you.");
            with_reset(named(problem, &full), &full, at)
        }
        Refusal::BudgetExhausted(full) => {
            let (counted, whose) = (counted(full.unit), whose(full.scope));
            let detail = format!("this would exceed the {counted} budget of {whose}");
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exhausted", detail)
                .action("Wait until it resets, or ask an admin of your organization to raise it.");
            with_reset(named(problem, &full), &full, at)
        }
        Refusal::CallTooLarge(full) => {
            let (counted, whose) = (counted(full.unit), whose(full.scope));
            let detail = format!("this call alone exceeds the {counted} budget of {whose}");
            let problem = Problem::unprocessable("call_too_large", detail)
                .action("Ask for a shorter answer, a shorter prompt or a cheaper model.");
            if full.scope == Scope::Global { problem } else { named(problem, &full) }
        }
        Refusal::IncludedExhausted(full) => {
            let detail = "the generations included in your plan are used up";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exhausted", detail)
                .action("Buy credits or upgrade, or wait until the plan's quota resets.");
            with_reset(named(problem, &full), &full, at)
        }
        Refusal::InsufficientCredits { needed, available } => {
            let detail = format!("this needs up to {needed} credits and you have {available}");
            Problem::new(StatusCode::PAYMENT_REQUIRED, "insufficient_credits", detail)
                .action("Buy credits, or ask for a shorter answer or a cheaper model.")
                .with("credits_needed", needed)
                .with("credits_available", available)
        }
    }
}

/// Says which budget it was. The platform's own is nobody else's business.
fn named(problem: Problem, full: &Exhausted) -> Problem {
    problem
        .with("scope", serde_json::json!(full.scope))
        .with("unit", serde_json::json!(full.unit))
        .with("budget", serde_json::json!(full))
}

fn with_reset(problem: Problem, full: &Exhausted, at: DateTime<Utc>) -> Problem {
    if full.may_free_soon() {
        // Only calls in flight fill it: what they do not use is free when they end.
        return problem.retry_after(1);
    }
    let Some(resets_at) = full.resets_at else { return problem };
    let wait = u64::try_from((resets_at - at).num_seconds()).unwrap_or(0) + 1;
    problem.with("resets_at", resets_at.to_rfc3339()).retry_after(wait)
}

fn counted(unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "request",
        Unit::Tokens => "token",
        Unit::NanoUsd => "spend",
        Unit::Unknowns => "unknown-outcome",
    }
}

fn whose(scope: Scope) -> &'static str {
    match scope {
        Scope::Global => "the platform",
        Scope::Org => "your organization",
        Scope::Project => "this project",
        Scope::User => "your account",
        Scope::Key => "this API key",
    }
}
