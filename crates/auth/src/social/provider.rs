use std::sync::Arc;

use kernel::Clock;
use secrecy::SecretString;
use url::Url;

use super::{Config, discovery::Discovery, github::GitHub, http::Http};

/// Who people have accounts with, and how they say so.
#[derive(Clone)]
pub(crate) struct Providers(Arc<[Provider]>);

/// One of them.
pub(super) struct Provider {
    /// What it is called in the API.
    pub(super) name: String,
    /// What we are called there.
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
    pub(super) protocol: Protocol,
    pub(super) http: Http,
}

pub(super) enum Protocol {
    /// OpenID Connect: a signed token says who it is.
    Oidc(Discovery),
    /// OAuth alone: we ask.
    GitHub(GitHub),
}

impl Providers {
    pub(crate) fn new(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        let http = Http::new()?;
        let oidc = config.oidc().map_err(anyhow::Error::msg)?;
        let mut providers: Vec<_> = oidc
            .into_iter()
            .map(|given| Provider {
                name: given.name,
                client_id: given.client_id,
                client_secret: given.client_secret,
                protocol: Protocol::Oidc(Discovery::new(given.issuer, http.clone(), clock.clone())),
                http: http.clone(),
            })
            .collect();
        let github = config.github_client_id.clone().zip(config.github_client_secret.clone());
        if let Some((client_id, client_secret)) = github {
            providers.push(Provider {
                name: "github".to_owned(),
                client_id,
                client_secret,
                protocol: Protocol::GitHub(GitHub::new(config)?),
                http,
            });
        }
        Ok(Self(providers.into()))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|provider| provider.name.as_str())
    }

    /// Only those in the settings: nobody brings one of their own.
    pub(super) fn get(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.name == name)
    }
}

impl Provider {
    /// Who vouches for its subjects: together with one of them it means one person.
    pub(super) fn issuer(&self) -> &str {
        match &self.protocol {
            Protocol::Oidc(discovery) => discovery.issuer(),
            Protocol::GitHub(github) => github.issuer(),
        }
    }

    /// Where people go, and where codes are exchanged.
    pub(super) async fn endpoints(&self) -> Result<Endpoints, super::http::Failure> {
        match &self.protocol {
            Protocol::Oidc(discovery) => {
                let found = discovery.get().await?;
                let [authorization, token] =
                    [&found.authorization_endpoint, &found.token_endpoint].map(Clone::clone);
                Ok(Endpoints { authorization, token })
            }
            Protocol::GitHub(github) => Ok(github.endpoints()),
        }
    }

    /// Whether it says with every answer who it is (RFC 9207), so that an answer without is not its.
    pub(super) async fn always_names_itself(&self) -> Result<bool, super::http::Failure> {
        match &self.protocol {
            Protocol::Oidc(discovery) => Ok(discovery.get().await?.names_itself),
            Protocol::GitHub(_) => Ok(false),
        }
    }

    pub(super) fn scopes(&self) -> &'static [&'static str] {
        match &self.protocol {
            Protocol::Oidc(_) => &["openid", "email", "profile"],
            Protocol::GitHub(_) => &["read:user", "user:email"],
        }
    }
}

pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
}
