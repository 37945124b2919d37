use axum::http::StatusCode;
use web::Problem;

use crate::PasswordRefused;

/// What this crate's operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why somebody does not get in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Which of the two is wrong stays our secret, and whether the address is confirmed.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    /// Told only to those who know the password.
    #[error("the account is disabled")]
    AccountDisabled,
    /// Everybody they worked with has removed them.
    #[error("the account belongs to no organization")]
    NoOrg,
    /// Unknown, expired, or of a session that was ended.
    #[error("the refresh token does not hold, or no longer")]
    InvalidRefreshToken,
    /// It was exchanged before, and its successor too: the session has been ended.
    #[error("the refresh token was used twice, so the session was ended")]
    RefreshTokenReused,
    /// Unknown, expired, used, or replaced by a newer one.
    #[error("the link was used before, replaced by a newer one, or is too old")]
    InvalidLink,
    /// Which of the three is wrong stays our secret.
    #[error("the e-mail address, the password or the code is wrong")]
    InvalidFactors,
    /// The authenticator was not set up, or its clock is wrong.
    #[error("the code is wrong")]
    InvalidCode,
    /// The password cannot be chosen.
    #[error("the password {0}")]
    Password(#[from] PasswordRefused),
    /// No key of this org.
    #[error("there is no such API key")]
    ApiKeyNotFound,
    /// A limit, or a value that is not acceptable.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// Postgres failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A bug.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        let unauthorized = |code| Self::new(StatusCode::UNAUTHORIZED, code, detail.clone());
        let forbidden = |code| Self::new(StatusCode::FORBIDDEN, code, detail.clone());
        match error {
            Error::InvalidCredentials => unauthorized("invalid_credentials").action(
                "Check both, or ask for a new password. If the account is new, open the link that we mailed.",
            ),
            Error::AccountDisabled => forbidden("account_disabled").action("Write to support."),
            Error::NoOrg => {
                forbidden("no_organization").action("Ask somebody to invite you to theirs.")
            }
            Error::InvalidRefreshToken => {
                unauthorized("invalid_refresh_token").action("Sign in again.")
            }
            Error::RefreshTokenReused => unauthorized("refresh_token_reused")
                .action("Sign in again; if it happens often, choose a new password."),
            Error::InvalidLink => {
                Self::bad_request("invalid_link", detail).action("Ask for a new link.")
            }
            Error::InvalidFactors => unauthorized("invalid_credentials")
                .action("Check all three. A code works once, for a minute."),
            Error::InvalidCode => Self::bad_request("invalid_code", detail)
                .action("Put the secret into your authenticator first, and check its clock."),
            Error::Password(refused) => refused.into(),
            Error::ApiKeyNotFound => Self::not_found("api_key_not_found", detail),
            Error::Refused(problem) => problem,
            Error::Database(error) => error.into(),
            Error::Internal(error) => Self::internal(error),
        }
    }
}
