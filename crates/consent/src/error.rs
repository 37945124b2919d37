use web::Problem;

/// What consent answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an agreement was not written down.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such policy.
    #[error("there is no such policy")]
    NoSuchPolicy,
    /// Another version counts by now.
    #[error("a newer version of this policy was published")]
    Superseded,
    /// Nobody could read it.
    #[error("a policy needs between 1 and {} characters", crate::policy::LONGEST)]
    Length,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NoSuchPolicy => Self::not_found("policy_not_found", detail)
                .action("Take the id from GET /v1/policies."),
            Error::Superseded => Self::conflict("policy_superseded", detail)
                .action("Show the version that GET /v1/policies answers, and accept that one."),
            Error::Length => Self::invalid_field("/text", detail),
            Error::Database(error) => error.into(),
        }
    }
}
