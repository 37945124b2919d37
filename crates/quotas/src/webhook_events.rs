use app::Event;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::GrantSource;

/// What customers' programs are told of credits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreditsGranted {
    /// How many.
    pub(crate) credits: i64,
    /// Where they come from: `admin`, `promo`, `plan` or `pack`.
    #[schema(value_type = String)]
    pub(crate) source: GrantSource,
    /// When what is left of them lapses; null: never.
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Event for CreditsGranted {
    const TYPE: &'static str = "credits.granted";
    const DESCRIPTION: &'static str =
        "The organization was given credits: by its plan, by a purchase, as a present.";

    fn example() -> Self {
        Self { credits: 100, source: GrantSource::Pack, expires_at: None }
    }
}
