use axum::http::StatusCode;
use web::Problem;

/// What storage answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a file could not be kept or had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error("there is no such file")]
    NotFound,
    /// It has more bytes than one file may have.
    #[error("the file has {size} bytes, more than the {max} a file may have")]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// Those permitted.
        max: u64,
    },
    /// The storage itself failed.
    #[error(transparent)]
    Unavailable(object_store::Error),
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            error => Self::Unavailable(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found("file_not_found", error.to_string())
                .action("It may have been deleted; list the files again."),
            Error::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "file_too_large", error.to_string())
                    .action("Send a smaller file.")
            }
            Error::Unavailable(cause) => Self::unavailable(cause),
        }
    }
}
