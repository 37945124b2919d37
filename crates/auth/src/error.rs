use axum::http::StatusCode;
use web::Problem;

use crate::{MembershipRefused, PasswordRefused, lifetimes};

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
    /// Who confirms a registration is not who registered.
    #[error("that is not the password of this registration")]
    NotTheirRegistration,
    /// Of somebody who is signed in.
    #[error("the password is wrong")]
    WrongPassword,
    /// Which of them it is stays our secret: wrong, used, too old, asked for elsewhere.
    #[error("the code does not hold, or no longer, or was asked for elsewhere")]
    InvalidMailCode,
    /// The first factor holds. This is what the second one is sent with.
    #[error("signing in to this account takes a second factor")]
    SecondFactorRequired {
        /// Shown once, to whoever proved the first.
        challenge: String,
        /// Whether a passkey will do, beside a code.
        passkey: bool,
    },
    /// Unknown, used up, or too old.
    #[error("the sign-in was not begun, took too long, or had too many wrong codes")]
    InvalidChallenge,
    /// Of the second factor.
    #[error("the code is wrong, or was used before")]
    WrongCode,
    /// A second one would replace it unseen.
    #[error("a second factor is on already")]
    SecondFactorIsOn,
    /// There is none.
    #[error("no second factor is on")]
    SecondFactorIsOff,
    /// Unknown, answered before, too old, or begun by somebody else or for something else.
    #[error("the passkey was not asked for, or took too long, or has answered before")]
    InvalidPasskeyCeremony,
    /// Unknown, removed, somebody else's, of another site, copied, signed wrongly: which stays our secret.
    #[error("the passkey does not sign in here")]
    PasskeyRefused,
    /// It is not made as we asked, or is somebody else's.
    #[error("the new passkey cannot be accepted")]
    UnacceptablePasskey,
    /// They have no such.
    #[error("you have no such passkey")]
    PasskeyNotFound,
    /// More than a person has devices.
    #[error("there are twenty passkeys on your account, which is the most")]
    TooManyPasskeys,
    /// The product is reached by an address without a name.
    #[error("passkeys need a domain, and APP_URL has none")]
    NoPasskeysHere,
    /// They sign in through a mail or somebody else's site.
    #[error("this account has neither password nor second factor to prove anything with")]
    NothingToProveWith,
    /// Not in the settings.
    #[error("there is no such provider")]
    NoSuchProvider,
    /// Forged, used, too old, begun elsewhere: which stays our secret.
    #[error("the sign-in was not begun here, took too long, or was answered wrongly")]
    InvalidSocialLogin,
    /// They pressed the other button.
    #[error("the sign-in was declined")]
    SocialLoginDeclined,
    /// The provider does not know that the address is theirs, so nobody else does.
    #[error("that account has no confirmed e-mail address")]
    UnverifiedIdentity,
    /// Told to somebody whom the provider knows by that address.
    #[error("there is an account with that address, which that sign-in is not linked to")]
    AccountExists,
    /// It signs somebody else in.
    #[error("that account is linked to somebody else here")]
    IdentityTaken,
    /// They have no such.
    #[error("you have linked no such account")]
    IdentityNotFound,
    /// Without it they could not come back.
    #[error("it is your only way in")]
    OnlyWayIn,
    /// Nobody has that id.
    #[error("there is no such user")]
    UserNotFound,
    /// The password cannot be chosen.
    #[error("the password {0}")]
    Password(#[from] PasswordRefused),
    /// Somebody's place in an org is not changed.
    #[error(transparent)]
    Membership(#[from] MembershipRefused),
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
            Error::NotTheirRegistration => unauthorized("invalid_credentials")
                .action("Type the password you chose when you registered. If you chose none, or forgot it, send a new one with \"is_new\": true; if you want no account, ignore the mail."),
            Error::WrongPassword => unauthorized("wrong_password").action("Check it, and send it again."),
            Error::InvalidMailCode => unauthorized("invalid_code")
                .action("Check it, use it where you asked for it, or ask for another one."),
            Error::SecondFactorRequired { challenge, passkey } => unauthorized("second_factor_required")
                .with("challenge", challenge)
                .with("passkey", passkey)
                .with("expires_in", lifetimes::SIGN_IN_STEP.num_seconds())
                .action("Send the challenge and a code to POST /v1/sessions/second-factor, or sign in with a passkey."),
            Error::InvalidChallenge => {
                unauthorized("invalid_challenge").action("Begin to sign in again.")
            }
            Error::WrongCode => unauthorized("wrong_code")
                .action("Wait for the next code; each works once. Or use a recovery code."),
            Error::SecondFactorIsOn => Self::conflict("second_factor_is_on", detail)
                .action("Turn it off first."),
            Error::SecondFactorIsOff => Self::conflict("second_factor_is_off", detail),
            Error::InvalidPasskeyCeremony => {
                Self::bad_request("invalid_passkey_ceremony", detail).action("Begin again.")
            }
            Error::PasskeyRefused => unauthorized("passkey_refused")
                .action("Use another one, or sign in another way."),
            Error::UnacceptablePasskey => Self::bad_request("unacceptable_passkey", detail)
                .action("Begin again, on the page that asks for it, with a device that checks who you are."),
            Error::PasskeyNotFound => Self::not_found("passkey_not_found", detail),
            Error::TooManyPasskeys => {
                Self::conflict("too_many_passkeys", detail).action("Remove one first.")
            }
            Error::NoPasskeysHere => Self::conflict("no_passkeys_here", detail)
                .action("Sign in another way. Operators: set APP_URL to the name that customers use, or http://localhost:PORT."),
            Error::NothingToProveWith => forbidden("nothing_to_prove_with")
                .action("Sign in again, the way you always do."),
            Error::NoSuchProvider => Self::unprocessable("no_such_provider", detail)
                .action("See GET /v1/identity-providers."),
            Error::InvalidSocialLogin => {
                Self::bad_request("invalid_social_login", detail).action("Begin again.")
            }
            Error::SocialLoginDeclined => Self::bad_request("social_login_declined", detail)
                .action("Begin again, or sign in another way."),
            Error::UnverifiedIdentity => forbidden("unverified_identity")
                .action("Confirm the address there, or register here with it."),
            Error::AccountExists => Self::conflict("account_exists", detail)
                .action("Sign in the way you always do, and link it under your account."),
            Error::IdentityTaken => Self::conflict("identity_taken", detail),
            Error::IdentityNotFound => Self::not_found("identity_not_found", detail),
            Error::OnlyWayIn => Self::conflict("only_way_in", detail)
                .action("Choose a password first."),
            Error::UserNotFound => Self::not_found("user_not_found", detail),
            Error::Password(refused) => refused.into(),
            Error::Membership(refused) => refused.into(),
            Error::ApiKeyNotFound => Self::not_found("api_key_not_found", detail),
            Error::Refused(problem) => problem,
            Error::Database(error) => error.into(),
            Error::Internal(error) => Self::internal(error),
        }
    }
}
