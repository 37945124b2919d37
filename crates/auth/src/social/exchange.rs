use anyhow::anyhow;
use chrono::{DateTime, Utc};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    claims::Claims,
    http::Failure,
    id_token::{self, Expected},
    pending::Secrets,
    provider::{Protocol, Provider},
};

/// What OpenID Connect adds to the answer.
#[derive(Debug, Serialize, Deserialize)]
struct IdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Answer = StandardTokenResponse<IdToken, BasicTokenType>;
type OAuth = Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Provider {
    /// Where to send somebody who wants to sign in.
    pub(super) async fn authorization_url(
        &self,
        redirect: &Url,
        secrets: &Secrets,
    ) -> Result<Url, Failure> {
        let client = self.oauth(redirect).await?;
        let verifier = PkceCodeVerifier::new(secrets.verifier.clone());
        let state = secrets.state.clone();
        let scopes = self.scopes().iter().map(|scope| Scope::new((*scope).to_owned()));
        let request = client
            .authorize_url(|| CsrfToken::new(state))
            .add_scopes(scopes)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        let request = match self.protocol {
            Protocol::Oidc(_) => request.add_extra_param("nonce", secrets.nonce.clone()),
            Protocol::GitHub(_) => request,
        };
        Ok(request.url().0)
    }

    /// Who somebody is that came back with `code`.
    pub(super) async fn identify(
        &self,
        redirect: &Url,
        secrets: &Secrets,
        code: String,
        now: DateTime<Utc>,
    ) -> Result<Claims, Refused> {
        let client = self.oauth(redirect).await?;
        let http = self.http.clone();
        let send = move |request| {
            let http = http.clone();
            async move { http.send(request).await }
        };
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier.clone()))
            .request_async(&send)
            .await
            .map_err(refused)?;
        match &self.protocol {
            Protocol::GitHub(github) => {
                Ok(github.holder(&self.http, answer.access_token().secret()).await?)
            }
            Protocol::Oidc(discovery) => {
                let token = answer.extra_fields().id_token.as_deref();
                let token = token.ok_or_else(|| Failure::Nonsense(anyhow!("no identity token")))?;
                let kid = id_token::key_id(token).map_err(Refused::Token)?;
                let keys = discovery.keys(kid.as_deref()).await?;
                let (issuer, nonce) = (discovery.issuer(), secrets.nonce.as_str());
                let expected = Expected { issuer, client_id: &self.client_id, nonce };
                id_token::verify(token, &keys, &expected, now).map_err(Refused::Token)
            }
        }
    }

    async fn oauth(&self, redirect: &Url) -> Result<OAuth, Failure> {
        let endpoints = self.endpoints().await?;
        let secret = self.client_secret.expose_secret().to_owned();
        Ok(Client::new(ClientId::new(self.client_id.clone()))
            .set_client_secret(ClientSecret::new(secret))
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::from_url(endpoints.authorization))
            .set_token_uri(TokenUrl::from_url(endpoints.token))
            .set_redirect_uri(RedirectUrl::from_url(redirect.clone())))
    }
}

/// Why somebody who came back is not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The code is used, forged or somebody else's.
    #[error("the provider did not take the code: {0}")]
    Code(String),
    /// The token is not for us, or not for this.
    #[error("the identity token does not hold")]
    Token(#[source] anyhow::Error),
    #[error(transparent)]
    Provider(#[from] Failure),
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn refused(error: RequestTokenError<Failure, BasicErrorResponse>) -> Refused {
    match error {
        RequestTokenError::ServerResponse(response) => Refused::Code(response.error().to_string()),
        RequestTokenError::Request(failure) => failure.into(),
        RequestTokenError::Parse(error, body) => match serde_json::from_slice(&body) {
            // GitHub calls a refusal a success.
            Ok(Refusal { error }) => Refused::Code(error),
            Err(_) => Failure::Nonsense(error.into()).into(),
        },
        RequestTokenError::Other(what) => Failure::Nonsense(anyhow!(what)).into(),
    }
}
