use audit::{Entry, Origin};
use email::SecurityNotice;
use kernel::Id;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use web::{Caller, ClientIp};

use super::{
    factor::{Factors, SecondFactor},
    recovery_code, totp,
};
use crate::{
    Auth, Error, Result, Session,
    accounts::{
        ending::{Ended, Ending},
        user::User,
    },
    orgs::org::Membership,
    passkeys::passkey::Passkey,
};

/// A second factor to be put into an authenticator.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewAuthenticator {
    /// The secret, in base 32, to be typed in.
    totp_secret: String,
    /// The same as an address, to be shown as a QR code.
    #[schema(example = "otpauth://totp/Slipway:ada%40example.com?secret=…&issuer=Slipway")]
    totp_url: String,
}

impl Auth {
    /// Gives the caller a secret for their authenticator. Nothing is asked for it until they have
    /// shown with a code that it works.
    pub(super) async fn prepare_second_factor(&self, caller: &Caller) -> Result<NewAuthenticator> {
        let user = self.account(caller).await?;
        let secret = totp::generate();
        let keys = self.access_tokens.keys();
        let stored = keys.sealer.seal(user.id.uuid().as_bytes(), &secret)?;
        let now = self.clock.now();
        if !SecondFactor::prepare(self.db.pool(), user.id, &stored, now).await? {
            return Err(Error::SecondFactorIsOn);
        }
        let authenticator = totp::Authenticator::new(&secret, self.mailer.product(), &user.email)?;
        Ok(NewAuthenticator { totp_secret: authenticator.secret(), totp_url: authenticator.url()? })
    }

    /// Turns the second factor on. Every other session ends, since it came in without. Answers the
    /// recovery codes.
    pub(super) async fn confirm_second_factor(
        &self,
        caller: &Caller,
        session: Option<Id<Session>>,
        code: &str,
        ip: ClientIp,
    ) -> Result<Vec<String>> {
        self.limit_codes(caller.user).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        let factor = SecondFactor::get(&mut *tx, user.id).await?.ok_or(Error::InvalidCode)?;
        if factor.confirmed_at.is_some() {
            return Err(Error::SecondFactorIsOn);
        }
        if !self.use_code(&mut tx, &factor, &user, code.trim()).await? {
            return Err(Error::InvalidCode);
        }
        SecondFactor::confirm(&mut tx, user.id, now).await?;
        let codes = recovery_code::issue(&mut tx, user.id).await?;
        let ended = self.end_others(&mut tx, &user, session).await?;
        self.note(&mut tx, user.id, ip, "second_factor.enabled").await?;
        self.tell(
            &mut tx,
            &user,
            "A second factor is on",
            "From now on signing in to your account \
             takes a code from your authenticator. Keep the recovery codes where you find them \
             without your phone.",
        )
        .await?;
        tx.commit().await?;
        self.forget(ended);
        Ok(codes)
    }

    /// Turns it off, with one last code.
    pub(super) async fn remove_second_factor(
        &self,
        caller: &Caller,
        session: Option<Id<Session>>,
        code: &str,
        ip: ClientIp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        // Passkeys alone ask for codes too, and one that was only prepared is not on.
        if Factors::of(&mut *tx, user.id).await?.authenticator_since.is_none() {
            return Err(Error::SecondFactorIsOff);
        }
        self.use_second_factor(&mut tx, &user, code).await?;
        SecondFactor::remove(&mut tx, user.id).await?;
        let ended = self.lost_factor(&mut tx, &user, session, "Your authenticator is off").await?;
        self.note(&mut tx, user.id, ip, "second_factor.disabled").await?;
        tx.commit().await?;
        self.forget(ended);
        Ok(())
    }

    /// New recovery codes; the earlier ones stop working.
    pub(super) async fn renew_recovery_codes(
        &self,
        caller: &Caller,
        ip: ClientIp,
    ) -> Result<Vec<String>> {
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, caller.user).await?.ok_or(Error::InvalidCredentials)?;
        if !SecondFactor::is_on(&mut *tx, user.id).await? {
            return Err(Error::SecondFactorIsOff);
        }
        let codes = recovery_code::issue(&mut tx, user.id).await?;
        self.note(&mut tx, user.id, ip, "recovery_codes.renewed").await?;
        tx.commit().await?;
        Ok(codes)
    }

    /// Turns off the second factor of somebody who has lost it, for an operator who has made sure
    /// of who they are.
    pub(super) async fn reset_second_factor(
        &self,
        user: Id<kernel::User>,
        origin: &Origin,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, user).await?.ok_or(Error::UserNotFound)?;
        let authenticator = SecondFactor::remove(&mut tx, user.id).await?;
        if !(Passkey::remove_all(&mut *tx, user.id).await? || authenticator) {
            return Err(Error::SecondFactorIsOff);
        }
        let ended = self.lost_factor(&mut tx, &user, None, "Your second factor is off").await?;
        let org = Membership::first_of(&mut *tx, user.id).await?.map(|membership| membership.org);
        let entry = Entry::new(origin, org, "second_factor.reset", user.id);
        entry.record(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        self.forget(ended);
        Ok(())
    }

    /// What follows when an authenticator or a passkey of `user` is gone: others are signed out, and
    /// the owner learns of it.
    pub(crate) async fn lost_factor(
        &self,
        db: &mut PgConnection,
        user: &User,
        session: Option<Id<Session>>,
        subject: &str,
    ) -> Result<Ended> {
        let text = if SecondFactor::is_on(&mut *db, user.id).await? {
            "Signing in to your account still takes a second factor: what you have left. If that was \
             not you, choose a new password and look at your passkeys and your authenticator."
        } else {
            recovery_code::void_all(db, user.id).await?;
            "Signing in to your account takes the password alone from now on. If that was not you, \
             choose a new password and turn a second factor on again."
        };
        let ended = self.end_others(db, user, session).await?;
        self.tell(db, user, subject, text).await?;
        Ok(ended)
    }

    pub(crate) async fn end_others(
        &self,
        db: &mut PgConnection,
        user: &User,
        session: Option<Id<Session>>,
    ) -> sqlx::Result<Ended> {
        let ending = Ending { but_session: session, api_keys: false };
        Ended::all_of(db, user.id, ending, self.clock.now()).await
    }

    /// Mails `user` what happened to their account.
    pub(crate) async fn tell(
        &self,
        db: &mut PgConnection,
        user: &User,
        subject: &str,
        text: &str,
    ) -> sqlx::Result<()> {
        let paragraphs = [text.to_owned()];
        let notice = SecurityNotice { name: &user.name, subject, paragraphs: &paragraphs };
        self.mailer.queue(db, &user.email, Some(user.id), &notice).await?;
        Ok(())
    }

    /// The caller's account.
    pub(crate) async fn account(&self, caller: &Caller) -> Result<User> {
        User::get(self.db.pool(), caller.user).await?.ok_or(Error::InvalidCredentials)
    }
}
