use egress::Refused;
use web::Problem;

/// What the rules of webhooks answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something cannot be done with a webhook endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It never existed, was deleted, or belongs to another org.
    #[error("there is no such webhook endpoint")]
    NotFound,
    /// It was not sent this event.
    #[error("this endpoint has no such event")]
    EventNotFound,
    /// The org has as many as it may.
    #[error("an organization has at most {0} webhook endpoints")]
    TooMany(u32),
    /// Its address cannot be one.
    #[error(transparent)]
    Url(#[from] Refused),
    /// Nothing of that type ever happens.
    #[error("{0:?} is no event type")]
    UnknownType(String),
    /// It is not a description.
    #[error("must have at most 200 characters, and no control characters")]
    Description,
    /// A secret cannot live on for so long.
    #[error("must be 0 to {0}")]
    Overlap(i64),
    /// A range ends before it begins, or names one event too.
    #[error("give an event_id, or a range that begins before it ends")]
    Range,
    /// A secret cannot be sealed or opened.
    #[error("a secret cannot be sealed or opened")]
    Sealing(anyhow::Error),
    /// The database failed.
    #[error(transparent)]
    Database(sqlx::Error),
}

/// What the database ran into.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::NotFound,
            error => Self::Database(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound => Self::not_found("webhook_endpoint_not_found", text)
                .action("List the endpoints to see which there are."),
            Error::EventNotFound => Self::not_found("webhook_event_not_found", text)
                .action("List the endpoint's deliveries to see which there are."),
            Error::TooMany(_) => Self::conflict("too_many_webhook_endpoints", text)
                .action("Delete one that is not needed, or send several types to one."),
            Error::Url(_) => Self::invalid_field("/url", text),
            Error::UnknownType(_) => Self::invalid_field("/events", text)
                .action("GET /v1/webhook-event-types lists the types."),
            Error::Description => Self::invalid_field("/description", text),
            Error::Overlap(_) => Self::invalid_field("/overlap_seconds", text),
            Error::Range => Self::invalid_field("/from", text),
            Error::Sealing(cause) => Self::internal(cause),
            Error::Database(error) => error.into(),
        }
    }
}
