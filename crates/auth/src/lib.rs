//! Who people and programs are: accounts, sessions, tokens, API keys.

mod abuse;
mod accounts;
mod api_keys;
mod callers;
mod config;
mod error;
mod lifetimes;
mod mfa;
mod onboarding;
mod operators;
mod orgs;
mod pages;
mod passkeys;
mod passwords;
mod personal_data;
mod purge;
mod secrets;
mod sessions;
mod sign_up;
mod social;
mod webhook_events;

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
use web::Routes;

pub use abuse::blocks::refuse_blocked;
pub use accounts::{Ended, Name, Recipient, Registered, Registration};
pub use api_keys::{ApiKey, NewApiKey};
pub use callers::identify;
pub use config::Config;
pub use error::{Error, Result};
pub use operators::{Enrolled, Enrolment, OperatorToken};
pub use orgs::{MembershipRefused, Seats};
pub use passwords::PasswordRefused;
pub use sealing::Resealed;
pub use secrets::{reseal, secret};
pub use sessions::{Device, Session, Tokens};
pub use sign_up::SignUp;

use abuse::{blocks::BlockList, warning::WarnOfGuesses};
use callers::{held_tokens::HeldTokens, standing::Standings};
use passkeys::RelyingParty;
use passwords::{hashing::Passwords, policy};
use secrets::keys::Keys;
use sessions::access_token::AccessTokens;
use social::Providers;

/// Registers people, signs them in, and finds out who calls.
#[derive(Clone)]
pub struct Auth {
    db: Db,
    clock: Clock,
    mailer: Mailer,
    limits: Durable,
    held_tokens: HeldTokens,
    app_url: Url,
    config: Arc<Config>,
    /// What a new org is entitled to.
    free: Arc<Entitlement>,
    access_tokens: Arc<AccessTokens>,
    passwords: Passwords,
    relying_party: RelyingParty,
    standings: Standings,
    providers: Providers,
    blocks: BlockList,
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
            passwords: Passwords::new(&config.passwords)?,
            relying_party: RelyingParty::new(&app_url, mailer.product())?,
            config: Arc::new(config.clone()),
            standings: Standings::new(db.clone(), clock.clone()),
            providers: Providers::new(&config.social, &clock)?,
            blocks: BlockList::new(db.clone(), clock.clone()),
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
        policy::check(password, &self.config.passwords, &words)
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
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes().with_state(auth.clone()),
        jobs: accounts::jobs(&auth)
            .merge(sessions::jobs(&auth))
            .merge(Registry::default().with::<WarnOfGuesses>(auth.clone()))
            .merge(Registry::default().with::<purge::PurgeSessions>(auth)),
        schedules: vec![Schedule::cron("30 2 * * *", &purge::PurgeSessions {})],
        events: webhook_events::types(),
        onboarding: onboarding::ONBOARDING,
        ..Module::default()
    }
}

fn routes() -> Routes<Auth> {
    accounts::routes()
        .merge(sessions::routes())
        .merge(mfa::routes())
        .merge(passkeys::routes::routes())
        .merge(social::routes())
        .merge(abuse::blocks::routes())
        .merge(sign_up::routes())
        .merge(api_keys::routes())
        .merge(operators::routes())
        .merge(orgs::routes())
}
