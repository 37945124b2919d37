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
    /// A time zone that is not in the IANA database.
    #[error("there is no time zone {name}")]
    UnknownTimeZone {
        /// As the caller spelled it.
        name: String,
    },
    /// Something that usage cannot be grouped by.
    #[error("usage cannot be grouped by {name}")]
    UnknownDimension {
        /// As the caller spelled it.
        name: String,
    },
    /// People, keys and projects of all orgs together.
    #[error("the usage of everybody is not told by user, key or project")]
    NoDetail,
    /// A report with more lines than anybody reads.
    #[error("the report would have more than 50,000 lines")]
    TooManyGroups,
    /// A place to go on from that this API did not give.
    #[error("the cursor is not one of ours")]
    InvalidCursor,
    /// A price that says too little, or what cannot be.
    #[error("{reason}")]
    InvalidPrice {
        /// What is wrong.
        reason: &'static str,
    },
    /// A price that calls may have been charged by already.
    #[error("prices that have begun are never changed")]
    PriceInThePast,
    /// A provider's account that cannot be read.
    #[error("the costs cannot be read: {reason}")]
    InvalidCosts {
        /// What is wrong.
        reason: String,
    },
    /// The price book could not be read; shared with everyone who waited for it.
    #[error("the price book could not be read: {0}")]
    PriceBook(Arc<sqlx::Error>),
    /// Postgres failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::UnknownModel { .. } => Self::not_found("unknown_model", detail)
                .action("See GET /v1/models for the models that can be called."),
            Error::InvalidRange => Self::unprocessable("invalid_range", detail)
                .action("Ask for a shorter span, with from before to."),
            Error::UnknownTimeZone { .. } => Self::unprocessable("unknown_time_zone", detail)
                .action("Use a name of the IANA database, such as Europe/Berlin."),
            Error::UnknownDimension { .. } => Self::unprocessable("unknown_dimension", detail)
                .action("Group by model, provider, operation, user, key or project."),
            Error::NoDetail => Self::unprocessable("no_detail", detail)
                .action("Ask for the usage of one organization."),
            Error::TooManyGroups => Self::unprocessable("too_many_groups", detail)
                .action("Ask for a shorter span or larger buckets, or use GET /v1/usage/export."),
            Error::InvalidCursor => {
                Self::bad_request("invalid_cursor", detail).action("Begin again without a cursor.")
            }
            Error::InvalidPrice { .. } => Self::unprocessable("invalid_price", detail)
                .action("See the field descriptions of a new price."),
            Error::PriceInThePast => Self::conflict("price_has_begun", detail)
                .action("Propose a price with a later date."),
            Error::InvalidCosts { .. } => Self::unprocessable("invalid_costs", detail)
                .action("Send the columns provider, model, day and cost_nano_usd."),
            Error::PriceBook(error) => Self::unavailable(error),
            Error::Database(error) => error.into(),
        }
    }
}
