use std::sync::Arc;

use web::Problem;

/// What this crate's operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why usage could not be priced or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model of that name has a price in force.
    #[error("there is no model {name} here, or it has no price")]
    UnknownModel {
        /// As the caller spelled it.
        name: String,
    },
    /// A time range that ends before it begins, or is too long.
    #[error("the range must end after it begins, be at most 366 days long and not before 2000")]
    InvalidRange,
    /// The price book could not be read; shared with everyone who waited for it.
    #[error("the price book could not be read: {0}")]
    PriceBook(Arc<sqlx::Error>),
    /// Postgres failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownModel { .. } => Self::not_found("unknown_model", error.to_string())
                .action("See GET /v1/models for the models that can be called."),
            Error::InvalidRange => Self::unprocessable("invalid_range", error.to_string()),
            Error::PriceBook(error) => Self::unavailable(error),
            Error::Database(error) => error.into(),
        }
    }
}
