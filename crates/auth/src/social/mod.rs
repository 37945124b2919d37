//! Signing in with an account at Google, GitHub or any OpenID Connect provider.

mod claims;
mod config;
mod discovery;
mod exchange;
mod flow;
mod github;
mod http;
mod id_token;
pub(crate) mod identity;
mod links;
pub(crate) mod pending;
mod provider;
mod routes;

pub(crate) use config::Config;
pub(crate) use pending::SocialLogin;
pub(crate) use provider::Providers;
pub(crate) use routes::routes;
