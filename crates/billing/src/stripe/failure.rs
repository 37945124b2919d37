use ::stripe::{ApiErrors, IdempotentKeyError, StripeError};

/// Why a call to Stripe brought no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No answer, not now, or not one that can be read. The same call may succeed later.
    #[error("Stripe is not available: {0}")]
    Unavailable(String),
    /// Stripe understood the call and will not do it.
    #[error("Stripe refused with {status}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What Stripe says about it.
        reason: String,
    },
}

impl Failure {
    /// Whether sending the same call again can help.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<StripeError> for Failure {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::Stripe(error, status) if is_passing(status) => {
                Self::Unavailable(format!("{status}, {}", reason(&error)))
            }
            StripeError::Stripe(error, status) => Self::Refused { status, reason: reason(&error) },
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<IdempotentKeyError> for Failure {
    fn from(error: IdempotentKeyError) -> Self {
        Self::Refused { status: 400, reason: error.to_string() }
    }
}

/// Conflicts (a call with the same key is running), rate limits and trouble at Stripe.
fn is_passing(status: u16) -> bool {
    matches!(status, 409 | 424 | 429 | 500..)
}

/// Not the whole error: it may quote what a customer entered.
fn reason(error: &ApiErrors) -> String {
    let code = error.code.as_ref().map_or("", |code| code.as_str());
    let message = error.message.as_deref().unwrap_or_default();
    format!("{} {code}: {message}", error.type_.as_str())
}
