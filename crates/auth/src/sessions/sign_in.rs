use db::Tx;
use jobs::enqueue;
use kernel::{EmailAddress, Id};
use secrecy::SecretString;

use super::{Device, Tokens};
use crate::{
    Auth, Error, Result,
    abuse::{guesses::FREE, limits::blind, warning::WarnOfGuesses},
    accounts::user::User,
    mfa::{challenge::Challenge, factor::Factors},
    passwords::hashing::Verdict,
};

impl Auth {
    /// Checks a password and starts a session, or asks for the second factor.
    pub async fn sign_in(
        &self,
        email: &EmailAddress,
        password: &SecretString,
        device: &Device,
    ) -> Result<Tokens> {
        self.limit_network(device.ip).await?;
        self.limit_account(device.ip, email).await?;
        let user = User::by_email(self.db.pool(), email).await?;
        let guesses = self.guesses(device.ip, email, user.as_ref()).await?;
        let count = self.count_guess(&guesses).await?;
        let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
        let verdict = self.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| verdict != Verdict::Wrong) else {
            tracing::info!(ip = %device.ip, account = blind(email.as_str()), "a sign-in was refused");
            self.note_refused_sign_in(device.ip).await?;
            if count == FREE {
                let mut db = self.db.pool().acquire().await?;
                enqueue(&mut db, &WarnOfGuesses { email: email.clone() }).await?;
            }
            return Err(Error::InvalidCredentials);
        };
        if user.disabled_at.is_some() {
            return Err(Error::AccountDisabled);
        }
        let rehashed = match verdict {
            Verdict::Outdated => Some(self.passwords.hash(password).await?),
            _ => None,
        };
        let mut tx = self.db.begin().await?;
        let current = User::lock(&mut tx, user.id).await?;
        // Whoever chose a new password meanwhile, or suspended the account, has ended all sessions;
        // this one would outlive it.
        let current = current.filter(|current| current.password_hash == user.password_hash);
        if current.ok_or(Error::InvalidCredentials)?.disabled_at.is_some() {
            return Err(Error::AccountDisabled);
        }
        if let Some(hash) = rehashed {
            User::set_password(&mut tx, user.id, &hash).await?;
        }
        guesses.forget(&mut *tx).await?;
        self.admit(tx, user.id, device).await
    }

    /// Lets somebody in who has proved their first factor: with a session, or to the second factor
    /// if they have one. However the first was proved, nobody gets around the second.
    pub(crate) async fn admit(
        &self,
        mut tx: Tx,
        user: Id<kernel::User>,
        device: &Device,
    ) -> Result<Tokens> {
        let factors = Factors::of(&mut *tx, user).await?;
        if factors.since().is_some() {
            let challenge = Challenge::issue(&mut tx, user, self.clock.now()).await?;
            tx.commit().await?;
            return Err(Error::SecondFactorRequired { challenge, passkey: factors.passkeys > 0 });
        }
        let tokens = self.start_session(&mut tx, user, device).await?;
        tx.commit().await?;
        tracing::info!(%user, session = %tokens.session_id, ip = %device.ip, "signed in");
        Ok(tokens)
    }
}
