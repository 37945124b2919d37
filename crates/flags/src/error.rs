use web::Problem;

/// What flags answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a flag or an experiment is not as somebody wants it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such flag.
    #[error("there is no such flag")]
    NoSuchFlag,
    /// There is no such experiment.
    #[error("there is no such experiment")]
    NoSuchExperiment,
    /// Its key is taken, for good: what was asked is what is answered.
    #[error("an experiment with this key exists")]
    Exists,
    /// It has an answer already.
    #[error("this experiment has ended")]
    Ended,
    /// A field is not as it must be.
    #[error("{1}")]
    Invalid(&'static str, &'static str),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Keys are the names that code uses.
pub(crate) fn check_key(key: &str) -> Result<()> {
    let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-".contains(&it);
    let begins = key.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if begins && key.len() <= 63 && key.bytes().all(allowed) {
        return Ok(());
    }
    let rule = "begins with a letter and has small letters, digits, - and _ only, 63 at most";
    Err(Error::Invalid("/key", rule))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NoSuchFlag => Self::not_found("flag_not_found", detail)
                .action("Take the key from GET /admin/v1/flags."),
            Error::NoSuchExperiment => Self::not_found("experiment_not_found", detail)
                .action("Operators find the keys at GET /admin/v1/experiments."),
            Error::Exists => Self::conflict("experiment_exists", detail)
                .action("Ask another question under another key."),
            Error::Ended => Self::conflict("experiment_ended", detail)
                .action("Read its result at GET /admin/v1/experiments."),
            Error::Invalid(pointer, rule) => Self::invalid_field(pointer, rule),
            Error::Database(error) => error.into(),
        }
    }
}
