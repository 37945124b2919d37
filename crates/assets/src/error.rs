use axum::http::StatusCode;
use web::Problem;

/// What functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something about files is not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this id in the org.
    #[error("there is no such file")]
    NotFound,
    /// Likewise.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// It was completed, refused, aborted or has expired.
    #[error("the upload is no longer open")]
    UploadEnded,
    /// Some parts were not sent.
    #[error("parts of the upload are missing")]
    Incomplete(Vec<u32>),
    /// The upload does not have so many.
    #[error("the upload has no such part")]
    NoSuchPart,
    /// The part has another length.
    #[error("this part has {expected} bytes")]
    PartLength {
        /// What it has to have.
        expected: u64,
        /// Whether more came.
        more: bool,
    },
    /// Nothing came for a while.
    #[error("the part stopped coming")]
    Stalled,
    /// The client left.
    #[error("the body ended early")]
    Cut,
    /// Nobody could show the name.
    #[error("must have 1 to 255 bytes in one line")]
    InvalidName,
    /// A field is wrong.
    #[error("{0} {1}")]
    Field(&'static str, String),
    /// More than one file may have.
    #[error("a file has at most {0} bytes")]
    TooLarge(u64),
    /// The org would store more than its plan gives it.
    #[error("the organization has no room for this file")]
    QuotaExceeded,
    /// It is not what it says.
    #[error("the file is refused: {0}")]
    Content(&'static str),
    /// The link was made by somebody else, for something else, or for an earlier time.
    #[error("the link does not work, or does not work any more")]
    InvalidLink,
    /// As much is on its way as this process can take.
    #[error("too many files are on their way just now")]
    Busy,
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound => Self::not_found("asset_not_found", detail)
                .action("It may have been deleted; list the files again."),
            Error::NoSuchUpload => Self::not_found("upload_not_found", detail),
            Error::UploadEnded => Self::conflict("upload_ended", detail)
                .action("See how it ended, and begin another one if you need it."),
            Error::Incomplete(missing) => Self::conflict("upload_incomplete", detail)
                .with("missing_parts", missing)
                .action("Send the missing parts, then complete the upload again."),
            Error::NoSuchPart => Self::not_found("part_not_found", detail)
                .action("Number parts from 1 to what the upload says."),
            Error::PartLength { more: true, .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "part_too_large", detail)
                    .action("Cut the file as the upload says.")
            }
            Error::PartLength { more: false, .. } => Self::bad_request("part_too_small", detail)
                .action("Cut the file as the upload says, and send the part again."),
            Error::Stalled => Self::new(StatusCode::REQUEST_TIMEOUT, "upload_stalled", detail)
                .action("Send the part again."),
            Error::Cut => {
                Self::bad_request("incomplete_body", detail).action("Send the part again.")
            }
            Error::InvalidName => Self::invalid_field("/name", detail),
            Error::Field(pointer, detail) => Self::invalid_field(pointer, detail),
            Error::TooLarge(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "file_too_large", detail)
            }
            Error::QuotaExceeded => {
                Self::new(StatusCode::PAYMENT_REQUIRED, "storage_quota_exceeded", detail)
                    .action("Delete files, or take a plan with more storage.")
            }
            Error::Content(_) => Self::unprocessable("content_refused", detail)
                .action("Upload a file that is what its type says."),
            Error::InvalidLink => Self::new(StatusCode::FORBIDDEN, "invalid_link", detail)
                .action("Ask for another one."),
            Error::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "uploads_busy", detail)
                .retry_after(5)
                .action("Send it again in some seconds."),
            Error::Storage(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
