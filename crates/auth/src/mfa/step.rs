use kernel::{Id, User as Person};
use sqlx::PgConnection;

use super::{challenge::Challenge, factor::SecondFactor, recovery_code, totp::Authenticator};
use crate::{Auth, Device, Error, Result, Tokens, accounts::user::User};

impl Auth {
    /// Lets in whoever has proved the first factor before, and proves the second now.
    pub(crate) async fn prove_second_factor(
        &self,
        challenge: &str,
        code: &str,
        device: &Device,
    ) -> Result<Tokens> {
        self.limit_network(device.ip).await?;
        let now = self.clock.now();
        let owed = Challenge::attempt(self.db.pool(), challenge, now).await?;
        let user = owed.ok_or(Error::InvalidChallenge)?.user;
        self.limit_codes(user).await?;
        let mut tx = self.db.begin().await?;
        let user = User::lock(&mut tx, user).await?.ok_or(Error::InvalidChallenge)?;
        if user.disabled_at.is_some() {
            return Err(Error::AccountDisabled);
        }
        if !self.factor_holds(&mut tx, &user, code).await? {
            tracing::warn!(user = %user.id, ip = %device.ip, "a second factor was refused");
            return Err(Error::WrongCode);
        }
        if !Challenge::consume(&mut tx, challenge).await? {
            return Err(Error::InvalidChallenge);
        }
        let tokens = self.start_session(&mut tx, user.id, device).await?;
        tx.commit().await?;
        let session = tokens.session_id;
        tracing::info!(user = %user.id, %session, ip = %device.ip, "signed in with two factors");
        Ok(tokens)
    }

    /// Whether `user` has a second factor and proves it with `code`, which is used up by that.
    /// `false`: they have none.
    pub(crate) async fn use_second_factor(
        &self,
        db: &mut PgConnection,
        user: &User,
        code: &str,
    ) -> Result<bool> {
        if !SecondFactor::is_on(&mut *db, user.id).await? {
            return Ok(false);
        }
        self.limit_codes(user.id).await?;
        if self.factor_holds(db, user, code).await? { Ok(true) } else { Err(Error::WrongCode) }
    }

    async fn factor_holds(&self, db: &mut PgConnection, user: &User, code: &str) -> Result<bool> {
        let code = code.trim();
        let factor = SecondFactor::get(&mut *db, user.id).await?;
        // Those who have passkeys alone have recovery codes too.
        if let Some(factor) = factor.filter(|factor| factor.confirmed_at.is_some())
            && self.use_code(db, &factor, user, code).await?
        {
            return Ok(true);
        }
        Ok(recovery_code::consume(db, user.id, code, self.clock.now()).await?)
    }

    /// Uses up a code of the authenticator.
    pub(super) async fn use_code(
        &self,
        db: &mut PgConnection,
        factor: &SecondFactor,
        user: &User,
        code: &str,
    ) -> Result<bool> {
        let (keys, id): (_, Id<Person>) = (self.access_tokens.keys(), user.id);
        let product = self.mailer.product();
        let authenticator =
            Authenticator::open(keys, id.uuid(), &factor.totp_secret, product, &user.email)?;
        let Some(step) = authenticator.step_of(code, self.clock.now())? else { return Ok(false) };
        Ok(factor.advance(db, id, step).await?)
    }
}
