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
    /// The name cannot be shown in one line.
    #[error("must have 1 to 100 characters, and no control characters")]
    InvalidName,
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
        match error {
            Error::NotFound => Self::not_found("project_not_found", error.to_string())
                .action("List the projects to see which there are."),
            Error::NameTaken => {
                Self::conflict("project_name_taken", error.to_string()).action("Pick another name.")
            }
            Error::InvalidName => Self::invalid_field("/name", error.to_string()),
            Error::Database(error) => error.into(),
        }
    }
}
