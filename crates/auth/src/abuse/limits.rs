use std::time::Duration;

use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::EmailAddress;
use rate_limit::{ATTEMPTS_PER_ACCOUNT, Quota};
use web::{ClientIp, Problem};

use crate::{Auth, accounts::user::User, secrets::secret};

const PER_NETWORK: Quota = Quota::per_minute(10);
/// From everywhere together, so that guessing does not become cheap with many addresses.
const ATTEMPTS_ON_ACCOUNT: Quota = Quota { count: 10, per: Duration::from_mins(10) };
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
}

/// Every attempt counts, right or wrong, and before any password is hashed: so reaching a limit
/// tells nothing about the password, and costs an attacker more than it costs us.
impl Auth {
    pub(crate) async fn limit_network(&self, ip: ClientIp) -> web::Result<()> {
        self.limits.check("auth", &network(ip), PER_NETWORK).await
    }

    /// Counts an attempt at the password of `user`, or of nobody, which must look the same.
    ///
    /// The count over all networks belongs to the password: who chooses a new one by mail gets in,
    /// however long a stranger goes on guessing the old one.
    pub(crate) async fn limit_account(
        &self,
        ip: ClientIp,
        email: &EmailAddress,
        user: Option<&User>,
    ) -> web::Result<()> {
        let here = format!("{}@{}", blind(email.as_str()), network(ip));
        self.limits.check("account", &here, ATTEMPTS_PER_ACCOUNT).await?;
        let password = user.map_or("", |user| &user.password_hash);
        let everywhere = blind(&format!("{email} {password}"));
        self.limits.check("account-everywhere", &everywhere, ATTEMPTS_ON_ACCOUNT).await
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
        match self.limits.check("mails", &address(email, request), MAILS_PER_ADDRESS).await {
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

fn network(ip: ClientIp) -> String {
    ip.subscriber().to_string()
}

fn address(email: &EmailAddress, request: MailRequest) -> String {
    format!("{request:?}:{}", blind(email.as_str()))
}

/// A name for `text` that does not show it, for logs and limits, which need no addresses.
pub(crate) fn blind(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(secret::hash(text))
}
