//! Who people and programs are: accounts, sessions, tokens, API keys.

mod access_token;
mod api_key;
mod config;
mod email_token;
mod error;
mod held_tokens;
mod identify;
mod key_ring;
mod keys;
mod lifetimes;
mod limits;
mod operators;
mod org;
mod pages;
mod password;
mod password_policy;
mod password_reset;
mod purge;
mod recipient;
mod refresh_token;
mod registration;
mod routes;
mod sealed;
mod secret;
mod session;
mod sign_in;
mod standing;
mod user;
mod verification;

use std::sync::Arc;

use app::Module;
use db::Db;
use email::Mailer;
use jobs::{Registry, Schedule};
use kernel::{Clock, EmailAddress};
use quotas::Entitlement;
use rate_limit::{Durable, Limits};
use secrecy::SecretString;
use url::Url;

pub use api_key::{ApiKey, NewApiKey};
pub use config::Config;
pub use error::{Error, Result};
pub use identify::identify;
pub use operators::{Enrolled, Enrolment, OperatorToken};
pub use password_policy::PasswordRefused;
pub use recipient::Recipient;
pub use registration::{Registered, Registration};
pub use session::{Device, Session};
pub use sign_in::Tokens;
pub use user::Name;

use access_token::AccessTokens;
use held_tokens::HeldTokens;
use keys::Keys;
use password::Passwords;
use standing::Standings;

/// Registers people, signs them in, and finds out who calls.
#[derive(Clone)]
pub struct Auth {
    db: Db,
    clock: Clock,
    mailer: Mailer,
    limits: Durable,
    held_tokens: HeldTokens,
    app_url: Url,
    /// What a new org is entitled to.
    free: Arc<Entitlement>,
    access_tokens: Arc<AccessTokens>,
    passwords: Passwords,
    password_min_length: usize,
    standings: Standings,
}

impl Auth {
    /// Everything about identity, reached by people at `app_url`. New orgs are entitled to `free`.
    pub fn new(
        db: Db,
        clock: Clock,
        config: &Config,
        app_url: Url,
        mailer: Mailer,
        limits: Limits,
        free: Entitlement,
    ) -> anyhow::Result<Self> {
        let issuer = app_url.as_str().trim_end_matches('/');
        Ok(Self {
            access_tokens: Arc::new(AccessTokens::new(Keys::new(config)?, issuer)),
            passwords: Passwords::new()?,
            password_min_length: config.password_min_length.into(),
            standings: Standings::new(db.clone(), clock.clone()),
            free: Arc::new(free),
            db,
            clock,
            mailer,
            limits: limits.attempts,
            held_tokens: HeldTokens::new(limits.traffic),
            app_url,
        })
    }

    fn check_password(
        &self,
        password: &SecretString,
        email: &EmailAddress,
        name: &str,
    ) -> Result<(), PasswordRefused> {
        let words = [email.as_str(), email.local_part(), name, self.mailer.product()];
        password_policy::check(password, self.password_min_length, &words)
    }

    /// Always under our own address, whatever host a request claims to be for.
    fn link(&self, what: &str, token: &str) -> Url {
        let mut link = self.app_url.clone();
        link.set_path(&format!("/v1/{what}/{token}"));
        link
    }
}

/// What identity adds to the application. The layer that finds out who calls is [`identify`].
pub fn module(auth: Auth) -> Module {
    Module {
        routes: routes::routes().merge(operators::routes::routes()).with_state(auth.clone()),
        jobs: Registry::default()
            .with::<verification::SendVerification>(auth.clone())
            .with::<password_reset::SendPasswordReset>(auth.clone())
            .with::<purge::PurgeSessions>(auth),
        schedules: vec![Schedule::cron("30 2 * * *", &purge::PurgeSessions {})],
        checks: vec![],
    }
}
