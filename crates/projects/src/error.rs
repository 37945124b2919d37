use db::violated_constraint;
use web::Problem;

/// What the rules of projects answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something cannot be done with a project.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It never existed, was deleted, or belongs to another org.
    #[error("there is no such project")]
    NotFound,
    /// Two projects of an org cannot share a name.
    #[error("another project has this name")]
    NameTaken,
    /// The name, of the project or its folder, cannot be shown in one line.
    #[error("must have 1 to 100 characters, and no control characters")]
    InvalidName(&'static str),
    /// The text is none that anybody wrote.
    #[error("must have at most 50000 characters")]
    TextTooLong,
    /// The cover is none of the org's files.
    #[error(transparent)]
    Cover(assets::Error),
    /// The cover is a file of another kind.
    #[error("must be the id of an image")]
    CoverIsNoImage,
    /// None, or more than are changed at once.
    #[error("must be 1 to 100")]
    WrongNumber,
    /// It was never kept, or too long ago.
    #[error("the project has no such version")]
    NoSuchVersion,
    /// It never existed, or was revoked.
    #[error("the project has no such link")]
    NoSuchLink,
    /// Nobody needs more.
    #[error("100 links to this project work already")]
    TooManyLinks,
    /// Made up, revoked, over, or what it led to is gone: nobody is told which.
    #[error("the link does not work, or does not work any more")]
    InvalidLink,
    /// It never existed, is being made, or is over.
    #[error("there is no such archive")]
    NoSuchExport,
    /// The database failed.
    #[error(transparent)]
    Database(sqlx::Error),
}

/// What the database ran into, named by the rule it guards.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match violated_constraint(&error) {
            Some("project_name_taken") => Self::NameTaken,
            _ if matches!(error, sqlx::Error::RowNotFound) => Self::NotFound,
            _ => Self::Database(error),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotFound => Self::not_found("project_not_found", detail)
                .action("List the projects to see which there are."),
            Error::NameTaken => {
                Self::conflict("project_name_taken", detail).action("Pick another name.")
            }
            Error::InvalidName(field) => Self::invalid_field(field, detail),
            Error::TextTooLong => Self::invalid_field("/text", detail),
            Error::Cover(error) => error.into(),
            Error::CoverIsNoImage => Self::invalid_field("/cover_id", detail),
            Error::WrongNumber => Self::invalid_field("/ids", detail),
            Error::NoSuchVersion => Self::not_found("project_version_not_found", detail)
                .action("List the versions to see which there are."),
            Error::NoSuchLink => Self::not_found("project_link_not_found", detail)
                .action("List the links to see which there are."),
            Error::TooManyLinks => Self::conflict("too_many_project_links", detail)
                .action("Revoke those that nobody needs."),
            Error::InvalidLink => Self::not_found("invalid_project_link", detail)
                .action("Ask whoever gave it to you for another one."),
            Error::NoSuchExport => {
                Self::not_found("project_export_not_found", detail).action("Have another one made.")
            }
            Error::Database(error) => error.into(),
        }
    }
}
