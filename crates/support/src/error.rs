use web::Problem;

/// What support answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none, or it is somebody else's.
    #[error("there is no such ticket")]
    NoSuchTicket,
    /// There is none.
    #[error("there is no such announcement")]
    NoSuchAnnouncement,
    /// There is none, or it is gone.
    #[error("you have no such notification")]
    NoSuchNotification,
    /// No part of the product has it.
    #[error("there is no such step")]
    NoSuchStep,
    /// It is done by doing it.
    #[error("this step is done by itself, once it was done in the product")]
    NotDone,
    /// A field is wrong.
    #[error("{0} {1}")]
    Field(&'static str, String),
    /// They have written much.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NoSuchTicket => Self::not_found("ticket_not_found", detail)
                .action("List your tickets, or open one."),
            Error::NoSuchAnnouncement => Self::not_found("announcement_not_found", detail),
            Error::NoSuchNotification => Self::not_found("notification_not_found", detail)
                .action("List your notifications: old ones are removed."),
            Error::NoSuchStep => Self::not_found("step_not_found", detail)
                .action("Take its name from GET /v1/me/onboarding."),
            Error::NotDone => Self::conflict("step_not_done", detail).action("Do it, or skip it."),
            Error::Field(pointer, detail) => Self::invalid_field(pointer, detail),
            Error::Refused(problem) => problem,
            Error::Database(error) => error.into(),
        }
    }
}
