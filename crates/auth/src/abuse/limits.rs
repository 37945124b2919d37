use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::{EmailAddress, Id};
use rate_limit::{ATTEMPTS_PER_ACCOUNT, Quota};
use web::{ClientIp, Problem};

use crate::{Auth, secrets::secret};

const PER_NETWORK: Quota = Quota::per_minute(10);
/// Guesses at a password by somebody who is signed in.
const PASSWORDS_PER_USER: Quota = Quota::per_minute(5);
/// Guesses at a code by somebody who knows the password.
const CODES_PER_USER: Quota = Quota::per_minute(5);
const REQUESTS_PER_ADDRESS: Quota = Quota::per_minute(3);
const LINKS_PER_NETWORK: Quota = Quota::per_minute(5);
const MAILS_PER_ADDRESS: Quota = Quota::per_hour(5);

/// Why a mail is asked for. Each is counted on its own: a stranger who registers an address over
/// and over must not keep its owner from choosing a new password.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MailRequest {
    Registration,
    Verification,
    PasswordReset,
    MagicLink,
    EmailChange,
}

/// Every attempt counts, right or wrong, and before any password is hashed: so reaching a limit
/// tells nothing about the password, and costs an attacker more than it costs us.
impl Auth {
    pub(crate) async fn limit_network(&self, ip: ClientIp) -> web::Result<()> {
        self.limits.check("auth", &network(ip), PER_NETWORK).await
    }

    /// Counts an attempt at the account with `email`, whether there is one or not.
    pub(crate) async fn limit_account(
        &self,
        ip: ClientIp,
        email: &EmailAddress,
    ) -> web::Result<()> {
        let here = format!("{}@{}", blind(email.as_str()), network(ip));
        self.limits.check("account", &here, ATTEMPTS_PER_ACCOUNT).await
    }

    /// Counts an attempt at the password of somebody who is signed in.
    pub(crate) async fn limit_password(&self, user: Id<kernel::User>) -> web::Result<()> {
        self.limits.check("password", &user.to_string(), PASSWORDS_PER_USER).await
    }

    /// Counts an attempt at a second factor. Right passwords in between do not start it anew.
    pub(crate) async fn limit_codes(&self, user: Id<kernel::User>) -> web::Result<()> {
        self.limits.check("second-factor", &user.to_string(), CODES_PER_USER).await
    }

    /// Counts a request that leads to a mail.
    pub(crate) async fn limit_mail_request(
        &self,
        ip: ClientIp,
        email: &EmailAddress,
        request: MailRequest,
    ) -> web::Result<()> {
        self.limit_network(ip).await?;
        self.limits.check("address", &address(email, request), REQUESTS_PER_ADDRESS).await
    }

    /// Whether one more mail may go to `email` now. Not told to anybody: it would tell a stranger
    /// how often others asked.
    pub(crate) async fn may_mail(
        &self,
        email: &EmailAddress,
        request: MailRequest,
    ) -> web::Result<bool> {
        self.has_room("mails", &address(email, request), MAILS_PER_ADDRESS).await
    }

    /// Counts what is told to nobody, and answers whether there was room for it. Not to know is no answer.
    pub(super) async fn has_room(
        &self,
        name: &'static str,
        key: &str,
        quota: Quota,
    ) -> web::Result<bool> {
        match self.limits.check(name, key, quota).await {
            Ok(()) => Ok(true),
            Err(Problem { status: StatusCode::TOO_MANY_REQUESTS, .. }) => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    /// Counts an attempt to guess a link.
    pub(crate) async fn limit_links(&self, ip: ClientIp) -> web::Result<()> {
        self.limits.check("link", &network(ip), LINKS_PER_NETWORK).await
    }
}

/// The network that one subscriber controls.
pub(crate) fn network(ip: ClientIp) -> String {
    ip.subscriber().to_string()
}

fn address(email: &EmailAddress, request: MailRequest) -> String {
    format!("{request:?}:{}", blind(email.as_str()))
}

/// A name for `text` that does not show it, for logs and limits, which need no addresses.
pub(crate) fn blind(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(secret::hash(text))
}
