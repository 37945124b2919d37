use kernel::Id;
use serde::Serialize;
use serde_json::json;
use sqlx::types::Json;
use utoipa::ToSchema;
use web::{Caller, ClientIp};
use webauthn_rs::prelude::{PasskeyRegistration, RegisterPublicKeyCredential};

use super::{
    ceremony::{Ceremony, Purpose},
    passkey::Passkey,
    prove::Begun,
};
use crate::{
    Auth, Error, Name, Result, Session,
    accounts::{ending::Ended, user::User},
    mfa::{factor::SecondFactor, recovery_code},
};

/// As many as a person has devices, and more.
const MOST: usize = 20;

/// A passkey that was added.
#[derive(Serialize, ToSchema)]
pub(super) struct AddedPasskey {
    #[serde(flatten)]
    passkey: Passkey,
    /// Each lets its owner in once, without a passkey or an authenticator. There are some only where
    /// neither was on before, and they cannot be shown again.
    recovery_codes: Vec<String>,
}

impl Auth {
    /// Asks the caller's device for a new passkey.
    pub(super) async fn begin_passkey_registration(&self, caller: &Caller) -> Result<Begun> {
        let webauthn = self.relying_party.webauthn()?;
        let user = self.account(caller).await?;
        let known = Passkey::list(self.db.pool(), user.id).await?;
        if known.len() >= MOST {
            return Err(Error::TooManyPasskeys);
        }
        let known = known.iter().map(|it| it.credential.cred_id().clone()).collect();
        let (request, state) = webauthn
            .start_passkey_registration(
                user.id.uuid(),
                user.email.as_str(),
                &user.name,
                Some(known),
            )
            .map_err(anyhow::Error::from)?;
        let mut options = serde_json::to_value(request.public_key).map_err(anyhow::Error::from)?;
        // The library would rather not have keys that tell whose they are, which alone sign in without
        // an address. Devices that have no room for them make others.
        options["authenticatorSelection"]["residentKey"] = json!("preferred");
        let ceremony = Ceremony { user: Some(user.id), state: Json(state) };
        let now = self.clock.now();
        let ceremony = ceremony.begin(self.db.pool(), Purpose::Registration, now).await?;
        Ok(Begun { ceremony, options })
    }

    /// Keeps a passkey that the caller's device has made. With the first factor beside the password,
    /// every other session ends, since it came in without.
    pub(super) async fn add_passkey(
        &self,
        caller: &Caller,
        session: Id<Session>,
        (ceremony, made): (&str, &RegisterPublicKeyCredential),
        name: &Name,
        ip: ClientIp,
    ) -> Result<AddedPasskey> {
        let now = self.clock.now();
        let asked: Option<Ceremony<PasskeyRegistration>> =
            Ceremony::end(self.db.pool(), ceremony, Purpose::Registration, now).await?;
        let asked = asked.filter(|asked| asked.user == Some(caller.user));
        let state = asked.ok_or(Error::InvalidPasskeyCeremony)?.state;
        let webauthn = self.relying_party.webauthn()?;
        let credential = webauthn.finish_passkey_registration(made, &state.0).map_err(|error| {
            tracing::info!(user = %caller.user, %ip, %error, "a new passkey was refused");
            Error::UnacceptablePasskey
        })?;
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        // Whoever took the account back meanwhile has ended this session; a passkey that is made in it
        // would outlive that.
        if !Session::is_open(&mut *tx, session).await? {
            return Err(Error::InvalidCredentials);
        }
        if Passkey::list(&mut *tx, user.id).await?.len() >= MOST {
            return Err(Error::TooManyPasskeys);
        }
        let is_first = !SecondFactor::is_on(&mut *tx, user.id).await?;
        let passkey = Passkey::insert(&mut tx, user.id, name, credential, now).await?;
        let passkey = passkey.ok_or(Error::UnacceptablePasskey)?;
        let (recovery_codes, ended) = if is_first {
            let codes = recovery_code::issue(&mut tx, user.id).await?;
            (codes, self.end_others(&mut tx, &user, Some(session)).await?)
        } else {
            (vec![], Ended::default())
        };
        self.note(&mut tx, user.id, ip, "passkey.added").await?;
        let text = format!(
            "\"{}\" can now be used to sign in to your account, and signing in with the password takes a \
             passkey or a code as well. If that was not you, remove it, change your password and sign \
             out every other device.",
            name.as_str()
        );
        self.tell(&mut tx, &user, "There is a new passkey on your account", &text).await?;
        tx.commit().await?;
        self.forget(ended);
        Ok(AddedPasskey { passkey, recovery_codes })
    }
}
