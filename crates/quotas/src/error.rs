use std::sync::Arc;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use web::Problem;

use crate::{Refusal, Scope, Unit};

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
            Error::Database(error) if db::is_outage(&error) => Self::unavailable(error),
            Error::Database(error) => Self::internal(error),
            Error::ShuttingDown => Self::unavailable(error),
        }
    }
}

fn refused(refusal: Refusal, at: DateTime<Utc>) -> Problem {
    match refusal {
        Refusal::BudgetExhausted { scope: Scope::Global, resets_at, .. } => {
            let detail = "AI calls are paused until the platform's budget begins anew";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ai_unavailable", detail);
            with_reset(problem, resets_at, at)
        }
        Refusal::BudgetExhausted { scope, unit, resets_at } => {
            let detail =
                format!("this would exceed the {} budget of {}", counted(unit), whose(scope));
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exhausted", detail)
                .action("Wait until it resets, or ask an admin of your organization to raise it.")
                .with("scope", serde_json::json!(scope))
                .with("unit", serde_json::json!(unit));
            with_reset(problem, resets_at, at)
        }
        Refusal::CallTooLarge { scope, unit } => {
            let detail =
                format!("this call alone exceeds the {} budget of {}", counted(unit), whose(scope));
            Problem::unprocessable("call_too_large", detail)
                .action("Ask for a shorter answer, a shorter prompt or a cheaper model.")
        }
        Refusal::IncludedExhausted { resets_at } => {
            let detail = "the generations included in your plan are used up";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exhausted", detail)
                .action("Buy credits or upgrade, or wait until the plan's quota resets.");
            with_reset(problem, Some(resets_at), at)
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

fn with_reset(problem: Problem, resets_at: Option<DateTime<Utc>>, at: DateTime<Utc>) -> Problem {
    let Some(resets_at) = resets_at else { return problem };
    let wait = u64::try_from((resets_at - at).num_seconds()).unwrap_or(0) + 1;
    problem.with("resets_at", resets_at.to_rfc3339()).retry_after(wait)
}

fn counted(unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "request",
        Unit::Tokens => "token",
        Unit::NanoUsd => "spend",
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
