use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Outcome {
    /// Answered whole.
    Succeeded,
    /// Broke off after something was delivered.
    Partial,
    /// We never learned: the platform bears it, and reconciliation finds out.
    Unknown,
    /// Answered by the response cache: no provider was asked, and it cost nothing. Its quantities are
    /// those of the answer.
    Cached,
}

/// Who bears the cost of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Payer {
    /// Included in the plan.
    Plan,
    /// The org's credits.
    Credits,
    /// Us.
    Platform,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
            Self::Cached => "cached",
        })
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::Credits => "credits",
            Self::Platform => "platform",
        })
    }
}
