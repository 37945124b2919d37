use std::{error, io};

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
    /// The disk is full.
    #[error("there is no room for more files just now")]
    Full(#[source] object_store::Error),
    /// The storage itself failed.
    #[error(transparent)]
    Unavailable(object_store::Error),
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::NotFound,
            error if is_full(&error) => Self::Full(error),
            error => Self::Unavailable(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound => Self::not_found("file_not_found", detail)
                .action("It may have been deleted; list the files again."),
            Error::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "file_too_large", detail)
                    .action("Send a smaller file.")
            }
            Error::Full(cause) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", detail)
                    .action("Try again later; we have been told.")
                    .because(cause)
            }
            Error::Unavailable(cause) => Self::unavailable(cause),
        }
    }
}

/// Whether what failed in the end was a disk without room.
fn is_full(error: &(dyn error::Error + 'static)) -> bool {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|error| error.downcast_ref::<io::Error>()).any(|it| full.contains(&it.kind()))
}

#[cfg(test)]
mod tests {
    use std::io;

    use web::Problem;

    use super::Error;

    /// As the store wraps it, and as a writer does once more.
    fn wrapped(kind: io::ErrorKind) -> Error {
        let source = Box::new(io::Error::from(kind));
        let store = object_store::Error::Generic { store: "LocalFileSystem", source };
        let source = Box::new(io::Error::other(store));
        object_store::Error::Generic { store: "storage", source }.into()
    }

    #[test]
    fn a_full_disk_is_told_from_one_that_fails() {
        assert_eq!(Problem::from(wrapped(io::ErrorKind::StorageFull)).status.as_u16(), 507);
        assert_eq!(Problem::from(wrapped(io::ErrorKind::QuotaExceeded)).status.as_u16(), 507);
        assert_eq!(Problem::from(wrapped(io::ErrorKind::PermissionDenied)).status.as_u16(), 503);
    }
}
