use db::Tx;
use kernel::Id;
use url::Url;
use web::Problem;

use super::{
    claims::Claims,
    exchange::Refused,
    http::Failure,
    identity::Identity,
    pending::{Secrets, SocialLogin},
    provider::Provider,
};
use crate::{
    Auth, Device, Error, Result, Session, Tokens,
    accounts::{
        ending::{Ended, Ending},
        user::User,
    },
    mfa::{factor::SecondFactor, recovery_code},
    passkeys::passkey::Passkey,
    sessions::transport::Transport,
    sign_up::{CodeHash, InviteCode, hash_of},
};

/// Where to send a browser, and what it brings back.
pub(super) struct Begun {
    pub(super) authorization_url: Url,
    pub(super) binding: String,
}

/// What somebody goes to a provider for.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    /// To sign in, or to register, for which there may be an invite code.
    SigningIn { invite_code: Option<&'a str> },
    /// To sign in with it in future.
    Linking(Id<kernel::User>, Id<Session>),
}

/// What a provider sent a browser back with.
pub(super) struct Return<'a> {
    pub(super) state: &'a str,
    pub(super) code: Option<String>,
    pub(super) issuer: Option<&'a str>,
}

/// What came of it.
pub(super) enum Outcome {
    SignedIn(Result<Tokens>, Transport),
    Linked,
}

impl Auth {
    /// Sends somebody to `provider`.
    pub(super) async fn begin_social_login(
        &self,
        provider: &str,
        transport: Transport,
        for_whom: For<'_>,
    ) -> Result<Begun> {
        let provider = self.providers.get(provider).ok_or(Error::NoSuchProvider)?;
        let secrets = Secrets::new(self.access_tokens.keys().current());
        let url = provider.authorization_url(&self.social_redirect(), &secrets).await;
        let authorization_url = url.map_err(|failure| unhelpful(failure, &provider.name))?;
        let mut login = SocialLogin {
            provider: provider.name.clone(),
            transport,
            user: None,
            session: None,
            invite_code: None,
        };
        match for_whom {
            For::SigningIn { invite_code } => {
                login.invite_code = invite_code.map(hash_of).map(Vec::from);
            }
            For::Linking(user, session) => {
                (login.user, login.session) = (Some(user), Some(session));
            }
        }
        let binding = login.begin(self.db.pool(), &secrets.state, self.clock.now()).await?;
        Ok(Begun { authorization_url, binding })
    }

    /// Takes in somebody who comes back from a provider.
    pub(super) async fn finish_social_login(
        &self,
        back: Return<'_>,
        binding: &str,
        device: &Device,
    ) -> Result<Outcome> {
        self.limit_network(device.ip).await?;
        let now = self.clock.now();
        let login = SocialLogin::end(self.db.pool(), back.state, binding, now).await?;
        let login = login.ok_or(Error::InvalidSocialLogin)?;
        let provider = self.providers.get(&login.provider).ok_or(Error::NoSuchProvider)?;
        // The provider that was asked must be the one that answers (RFC 9207).
        let named = match back.issuer {
            Some(issuer) => issuer == provider.issuer(),
            None => !self.always_names_itself(provider).await?,
        };
        if !named {
            return Err(Error::InvalidSocialLogin);
        }
        let code = back.code.ok_or(Error::SocialLoginDeclined)?;
        let claims = self.claims(provider, back.state, code).await?;
        if let Some(user) = login.user {
            let session = login.session.ok_or(Error::InvalidSocialLogin)?;
            self.link_identity(provider, (user, session), &claims, device).await?;
            return Ok(Outcome::Linked);
        }
        let invite_code = login.invite_code.and_then(|hash| CodeHash::try_from(hash).ok());
        let signed_in = self.sign_in_as(provider, &claims, invite_code, device).await;
        Ok(Outcome::SignedIn(signed_in, login.transport))
    }

    async fn always_names_itself(&self, provider: &Provider) -> Result<bool> {
        let always = provider.always_names_itself().await;
        always.map_err(|failure| unhelpful(failure, &provider.name))
    }

    async fn claims(&self, provider: &Provider, state: &str, code: String) -> Result<Claims> {
        let keys = self.access_tokens.keys();
        let (redirect, secrets) = (self.social_redirect(), Secrets::again(keys, state));
        let found = provider.identify(&redirect, &secrets, code, self.clock.now()).await;
        found.map_err(|refused| match refused {
            Refused::Provider(failure) => unhelpful(failure, &provider.name),
            Refused::Code(_) | Refused::Token(_) => {
                let error = anyhow::Error::from(refused);
                let reason = format!("{error:#}");
                tracing::warn!(provider = provider.name, reason, "a social login was refused");
                Error::InvalidSocialLogin
            }
        })
    }

    /// Signs in whoever the provider vouches for. Nobody gets into an account by its address alone:
    /// the provider, or whoever runs it, might say any. Only an address that nobody has shown to be
    /// theirs yet goes to the first who does, and then nothing of what was before holds.
    async fn sign_in_as(
        &self,
        provider: &Provider,
        claims: &Claims,
        invite_code: Option<CodeHash>,
        device: &Device,
    ) -> Result<Tokens> {
        let (now, issuer) = (self.clock.now(), provider.issuer());
        let mut tx = self.db.begin().await?;
        if let Some(user) = Identity::holder(&mut tx, issuer, &claims.subject, now).await? {
            let user = User::lock(&mut tx, user).await?.ok_or(Error::InvalidSocialLogin)?;
            if user.disabled_at.is_some() {
                return Err(Error::AccountDisabled);
            }
            return self.admit(tx, user.id, device).await;
        }
        let user = self.welcome(&mut tx, claims, invite_code).await?;
        if !Identity::link(&mut tx, user, &provider.name, issuer, claims, now).await? {
            return Err(Error::InvalidSocialLogin);
        }
        self.note(&mut tx, user, device.ip, "identity.linked").await?;
        self.admit(tx, user, device).await
    }

    /// An account for somebody who has none here.
    async fn welcome(
        &self,
        tx: &mut Tx,
        claims: &Claims,
        invite_code: Option<CodeHash>,
    ) -> Result<Id<kernel::User>> {
        let email = claims.verified_email.as_ref().ok_or(Error::UnverifiedIdentity)?;
        let is_new = User::by_email(&mut **tx, email).await?.is_none();
        let invite_code =
            if is_new { self.may_register(email, invite_code.as_ref()).await? } else { None };
        let now = self.clock.now();
        let name = claims.name.as_deref().unwrap_or_default();
        let name = crate::Name::new(name);
        let name = name.as_ref().map_or(email.local_part(), crate::Name::as_str);
        if let Some(made) = self.create_account(tx, email, name, None, now).await? {
            if let Some(code) = invite_code {
                InviteCode::redeem(tx, code, made.org, now).await?;
            }
            return Ok(made.user);
        }
        let known = User::by_email(&mut **tx, email).await?.ok_or(Error::InvalidSocialLogin)?;
        let known = User::lock(tx, known.id).await?.ok_or(Error::InvalidSocialLogin)?;
        if known.email_verified_at.is_some() || known.disabled_at.is_some() {
            return Err(Error::AccountExists);
        }
        let everything = Ending { but_session: None, api_keys: true };
        let ended = Ended::all_of(tx, known.id, everything, now).await?;
        User::forget_password(tx, known.id).await?;
        SecondFactor::remove(tx, known.id).await?;
        Passkey::remove_all(&mut **tx, known.id).await?;
        Identity::unlink_all(&mut **tx, known.id).await?;
        recovery_code::void_all(tx, known.id).await?;
        User::verify_email(tx, known.id, now).await?;
        self.forget(ended);
        Ok(known.id)
    }

    pub(super) fn social_redirect(&self) -> Url {
        self.config.social.social_login_redirect_url.clone().unwrap_or_else(|| {
            let mut own = self.app_url.clone();
            own.set_path("/v1/social-logins/callback");
            own
        })
    }
}

/// The provider's fault is not ours, and never somebody's way in.
fn unhelpful(failure: Failure, provider: &str) -> Error {
    let detail = format!("{provider} does not answer as it should");
    let away = matches!(failure, Failure::Away(_));
    let problem = if away {
        Problem::unavailable(anyhow::Error::from(failure))
    } else {
        Problem::new(axum::http::StatusCode::BAD_GATEWAY, "provider_failed", detail)
            .action("Try again later, or sign in another way.")
            .because(anyhow::Error::from(failure))
    };
    Error::Refused(problem)
}
