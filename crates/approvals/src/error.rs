use web::Problem;

/// Why something about an approval is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id in the org.
    #[error("there is no such approval")]
    NotFound,
    /// It was decided, revoked or has expired.
    #[error("the approval is no longer open")]
    NotOpen,
    /// The link is none of ours, or its approval was revoked or has expired.
    #[error("the link does not work, or does not work any more")]
    InvalidLink,
    /// The link was used.
    #[error("this was decided already")]
    Decided,
    /// A field is wrong.
    #[error("{0} {1}")]
    Field(&'static str, &'static str),
    /// The org has had many mails sent.
    #[error(transparent)]
    Refused(Problem),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] sqlx::Error),
}

/// What functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound => Self::not_found("approval_not_found", detail),
            Error::NotOpen => Self::conflict("approval_not_open", detail)
                .action("Ask for another one if you need it."),
            Error::InvalidLink => Self::bad_request("invalid_link", detail)
                .action("Let whoever sent it send you another one."),
            Error::Decided => Self::conflict("already_decided", detail)
                .action("Tell whoever asked if you have changed your mind."),
            Error::Field(pointer, detail) => Self::invalid_field(pointer, detail),
            Error::Refused(problem) => problem,
            Error::Db(error) => error.into(),
        }
    }
}
