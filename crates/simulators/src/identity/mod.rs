//! An identity provider: OpenID Connect, and OAuth as GitHub does it. It signs in whoever it is told to,
//! and misbehaves on request.
#![expect(
    clippy::disallowed_types,
    reason = "a provider answers in its own shapes, not with a Problem"
)]

mod authorize;
mod control;
mod error;
mod fault;
mod github;
mod oidc;
mod signing;
mod state;
mod token;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    routing::{get, post},
};

use crate::serve::{Server, serve};
use state::Provider;

pub use fault::Fault;
pub use state::Person;

/// What every client is registered with.
pub const CLIENT_ID: &str = "slipway";
/// The secret of that client.
pub const CLIENT_SECRET: &str = "simulator";

/// An identity provider on loopback; it stops listening when this is dropped.
#[derive(Debug)]
pub struct Identity {
    server: Server,
    provider: Arc<Provider>,
}

impl Identity {
    /// Listens on `addr`, where port 0 means any free port.
    pub async fn start(addr: SocketAddr) -> io::Result<Self> {
        let provider = Arc::new(Provider::new());
        let server = serve(addr, routes(provider.clone())).await?;
        provider.set_issuer(format!("http://{}", server.addr));
        Ok(Self { server, provider })
    }

    /// The issuer of OpenID Connect.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// Where GitHub is: another provider, with accounts of its own.
    pub fn github_url(&self) -> String {
        format!("{}/github", self.url())
    }

    /// Who signs in from now on, unless a page asks.
    pub fn set_person(&self, person: Person) {
        self.provider.set_person(person);
    }

    /// Answers like this from now on, until [`Identity::recover`].
    pub fn misbehave(&self, fault: Fault) {
        self.provider.set_fault(Some(fault));
    }

    /// Ends all misbehaviour, and lets what hangs go on.
    pub fn recover(&self) {
        self.provider.set_fault(None);
    }

    /// The time that tokens are made at, in seconds since 1970; `None`: the real one.
    pub fn set_now(&self, now: Option<i64>) {
        self.provider.set_now(now);
    }

    /// How many requests for tokens have arrived.
    pub fn token_requests(&self) -> usize {
        self.provider.token_requests()
    }
}

fn routes(provider: Arc<Provider>) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(oidc::configuration))
        .route("/jwks", get(oidc::keys))
        .route("/authorize", get(authorize::authorize))
        .route("/token", post(token::exchange))
        .route("/github/login/oauth/authorize", get(authorize::authorize_at_github))
        .route("/github/login/oauth/access_token", post(token::exchange))
        .route("/github/user", get(github::user))
        .route("/github/user/emails", get(github::emails))
        .merge(control::routes())
        .with_state(provider)
}

fn unique(prefix: &str) -> String {
    format!("{prefix}{}", hex::encode(rand::random::<[u8; 16]>()))
}
