use kernel::Environment;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

/// Where people may sign in with accounts that they have elsewhere.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Client id at Google. With its secret, people may sign in with Google.
    #[arg(long, env)]
    pub google_client_id: Option<String>,

    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub google_client_secret: Option<SecretString>,

    /// Client id of an OAuth app at GitHub. With its secret, people may sign in with GitHub.
    #[arg(long, env)]
    pub github_client_id: Option<String>,

    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub github_client_secret: Option<SecretString>,

    /// Where GitHub is, if it is your own: the address of its pages.
    #[arg(long, env)]
    pub github_url: Option<Url>,

    /// Where its API is.
    #[arg(long, env)]
    pub github_api_url: Option<Url>,

    /// Further OpenID Connect providers as JSON:
    /// `[{"name": "okta", "issuer": "https://…", "client_id": "…", "client_secret": "…"}]`
    #[arg(long, env, hide_env_values = true)]
    pub oidc_providers: Option<SecretString>,

    /// Where providers send people back to, as registered with them: a page of your own that posts `code`, `state` and `iss` to
    /// /v1/social-logins/callback. Unset, it is a page of ours at that address.
    #[arg(long, env)]
    pub social_login_redirect_url: Option<Url>,
}

/// An OpenID Connect provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OidcProvider {
    /// What it is called in the API.
    pub(super) name: String,
    /// As its configuration and its tokens name it, to the letter.
    pub(super) issuer: String,
    /// What we are called there.
    pub(super) client_id: String,
    /// How we prove it.
    pub(super) client_secret: SecretString,
}

const GOOGLE: &str = "https://accounts.google.com";

impl Config {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.google_client_id.is_none()
            && self.github_client_id.is_none()
            && self.oidc_providers.is_none()
    }

    /// What is wrong with the settings.
    pub(crate) fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = Vec::new();
        let pairs = [
            ("GOOGLE", self.google_client_id.is_some(), self.google_client_secret.is_some()),
            ("GITHUB", self.github_client_id.is_some(), self.github_client_secret.is_some()),
        ];
        for (name, id, secret) in pairs {
            if id != secret {
                problems.push(format!("{name}_CLIENT_ID and {name}_CLIENT_SECRET belong together"));
            }
        }
        match self.oidc() {
            Ok(providers) => {
                let mut names = vec!["github"];
                for provider in &providers {
                    let name = provider.name.as_str();
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                    if names.contains(&name) || name.is_empty() || !name.bytes().all(plain) {
                        problems.push(format!("OIDC_PROVIDERS: {name:?} is taken or no name"));
                    }
                    names.push(name);
                    if environment.is_production() && !provider.issuer.starts_with("https://") {
                        problems.push(format!("the issuer of {name} must be https in production"));
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
        problems
    }

    /// Every OpenID Connect provider, Google among them.
    pub(super) fn oidc(&self) -> Result<Vec<OidcProvider>, String> {
        let google = self.google_client_id.clone().zip(self.google_client_secret.clone());
        let google = google.map(|(client_id, client_secret)| OidcProvider {
            name: "google".to_owned(),
            issuer: GOOGLE.to_owned(),
            client_id,
            client_secret,
        });
        let mut providers: Vec<_> = google.into_iter().collect();
        if let Some(more) = &self.oidc_providers {
            let more: Vec<OidcProvider> = serde_json::from_str(more.expose_secret())
                // The error itself may quote a secret.
                .map_err(|error| {
                    let (line, column) = (error.line(), error.column());
                    format!("OIDC_PROVIDERS is not understood at line {line}, column {column}")
                })?;
            providers.extend(more);
        }
        Ok(providers)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Environment::{Development, Production};

    use super::Config;

    #[test]
    fn google_is_asked_where_google_is() {
        let config = Config {
            google_client_id: Some("id".into()),
            google_client_secret: Some("secret".into()),
            ..Config::default()
        };
        let google = config.oidc().unwrap().remove(0);
        assert_eq!((&*google.name, &*google.issuer), ("google", "https://accounts.google.com"));
    }

    #[test]
    fn half_a_provider_is_refused_and_so_are_two_of_one_name() {
        assert!(Config::default().problems(Production).is_empty());
        let half = Config { github_client_id: Some("x".into()), ..Config::default() };
        assert_eq!(half.problems(Development).len(), 1);
        let oidc = |name: &str, issuer: &str| {
            let provider = format!(
                r#"{{"name": "{name}", "issuer": "{issuer}", "client_id": "a", "client_secret": "b"}}"#
            );
            Config {
                oidc_providers: Some(format!("[{provider}, {provider}]").into()),
                ..Config::default()
            }
        };
        assert_eq!(oidc("okta", "https://x").problems(Development).len(), 1);
        assert_eq!(oidc("okta", "http://x").problems(Production).len(), 3);
        let broken = Config { oidc_providers: Some("[".into()), ..Config::default() };
        assert_eq!(broken.problems(Development).len(), 1);
    }
}
