use anyhow::{Context, anyhow};
use serde::Deserialize;
use url::Url;

use super::{
    Config,
    claims::Claims,
    http::{Failure, Http},
    provider::Endpoints,
};

/// GitHub, which speaks OAuth and no OpenID Connect.
pub(super) struct GitHub {
    issuer: String,
    authorization: Url,
    token: Url,
    api: String,
}

#[derive(Deserialize)]
struct Account {
    /// Stays when the name changes.
    id: u64,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

impl GitHub {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let base = |given: &Option<Url>, usual: &str| {
            let text = given.as_ref().map_or(usual, Url::as_str);
            text.trim_end_matches('/').to_owned()
        };
        let pages = base(&config.github_url, "https://github.com");
        let api = base(&config.github_api_url, "https://api.github.com");
        let page = |path: &str| Url::parse(&format!("{pages}/{path}")).context("GITHUB_URL");
        Ok(Self {
            authorization: page("login/oauth/authorize")?,
            token: page("login/oauth/access_token")?,
            issuer: pages,
            api,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn endpoints(&self) -> Endpoints {
        Endpoints { authorization: self.authorization.clone(), token: self.token.clone() }
    }

    /// Whose token it is.
    pub(super) async fn holder(&self, http: &Http, token: &str) -> Result<Claims, Failure> {
        let account: Account = http.get(&format!("{}/user", self.api), Some(token)).await?;
        if account.id == 0 {
            return Err(Failure::Nonsense(anyhow!("it knows nobody")));
        }
        let addresses: Vec<Address> =
            http.get(&format!("{}/user/emails", self.api), Some(token)).await?;
        let primary = addresses.into_iter().find(|address| address.primary && address.verified);
        Ok(Claims {
            subject: account.id.to_string(),
            verified_email: primary.and_then(|address| address.email.parse().ok()),
            name: account.name.or(Some(account.login)),
        })
    }
}
