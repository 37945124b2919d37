use axum::http::StatusCode;
use chrono::TimeDelta;
use kernel::{Id, Org};
use serde_json::json;
use web::Problem;

/// What privacy answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why somebody does not get what they asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such copy, or it is somebody else's.
    #[error("there is no such export")]
    NoSuchExport,
    /// It is still being made, failed, or is over.
    #[error("this export cannot be downloaded: it is {0}")]
    NotReady(&'static str),
    /// One was asked for less than a day ago.
    #[error("one export a day is made, and one was asked for less than a day ago")]
    TooSoon(TimeDelta),
    /// Nobody asked for one, or it was called off.
    #[error("no deletion is asked for")]
    NoDeletion,
    /// Nobody has this id.
    #[error("there is no such person or organization")]
    NoSubject,
    /// It has begun.
    #[error("the deletion has begun and cannot be called off")]
    TooLate,
    /// These orgs would have no owner.
    #[error("you are the only owner of an organization with other members")]
    SoleOwner(Vec<Id<Org>>),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NoSuchExport => Self::not_found("export_not_found", detail)
                .action("List your exports, or ask for a new one."),
            Error::NotReady(_) => Self::conflict("export_not_ready", detail)
                .action("Wait for the mail that says it is ready, or ask for a new one."),
            Error::TooSoon(wait) => {
                let seconds = wait.num_seconds().max(1).unsigned_abs();
                Self::new(StatusCode::TOO_MANY_REQUESTS, "export_too_soon", detail)
                    .action("Download the one you have, or wait.")
                    .retry_after(seconds)
            }
            Error::NoDeletion => Self::not_found("no_deletion", detail),
            Error::NoSubject => Self::not_found("subject_not_found", detail)
                .action("Find ids at GET /admin/v1/users and GET /admin/v1/orgs."),
            Error::TooLate => Self::conflict("deletion_has_begun", detail)
                .action("Register again once it is done."),
            Error::SoleOwner(orgs) => Self::conflict("sole_owner", detail)
                .action("Transfer the ownership, or delete the organization first.")
                .with("orgs", json!(orgs)),
            Error::Storage(error) => error.into(),
            Error::Database(error) => error.into(),
        }
    }
}
