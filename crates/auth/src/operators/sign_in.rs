use audit::{Actor, Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use rate_limit::Quota;
use secrecy::SecretString;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use web::Operator;

use super::{account::Account, recovery_code, session};
use crate::{Auth, Device, Error, Result, abuse::limits::blind, passwords::hashing::Verdict};

/// Guesses at a code, by somebody who knows the password.
const CODES: Quota = Quota::per_minute(5);

/// What an operator acts with.
#[derive(Serialize, ToSchema)]
pub struct OperatorToken {
    /// Sent as `Authorization: Bearer …`, to `/admin/v1` only.
    #[schema(pattern = "^slop_[0-9A-Za-z_-]{43}$")]
    pub token: String,
    /// When it ends, however much it is used.
    pub expires_at: DateTime<Utc>,
}

impl Auth {
    /// Checks both factors and starts a session.
    ///
    /// The password is limited by network only, since without the second factor it is worth nothing,
    /// and nobody must be able to keep operators out. Codes are limited for those who know it.
    pub(crate) async fn sign_in_operator(
        &self,
        email: &EmailAddress,
        password: &SecretString,
        code: &str,
        device: &Device,
    ) -> Result<OperatorToken> {
        self.limit_network(device.ip).await?;
        let account = Account::by_email(self.db.pool(), email).await?;
        let hash = account.as_ref().and_then(|account| account.password_hash.as_deref());
        let verdict = self.passwords.verify(password, hash).await?;
        let Some(account) = account.filter(|_| verdict != Verdict::Wrong) else {
            tracing::warn!(ip = %device.ip, account = blind(email.as_str()), "an operator's sign-in was refused");
            return Err(Error::InvalidFactors);
        };
        self.limit_operator_codes(account.id).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let account = Account::lock(&mut tx, account.id).await?.filter(|current| {
            // Whoever enrolled anew meanwhile has ended all sessions; this one would outlive it.
            current.password_hash == account.password_hash
        });
        let account = account.ok_or(Error::InvalidFactors)?;
        if !self.second_factor_holds(&mut tx, &account, code, now).await? {
            tracing::warn!(ip = %device.ip, operator = %account.id, "an operator's code was refused");
            return Err(Error::InvalidFactors);
        }
        let (token, expires_at) = session::start(&mut tx, account.id, device, now).await?;
        record(&mut tx, account.id, "operator.signed_in", Some(device), now).await?;
        tx.commit().await?;
        tracing::info!(operator = %account.id, ip = %device.ip, "an operator signed in");
        Ok(OperatorToken { token, expires_at })
    }

    /// Counts a guess at a code.
    pub(super) async fn limit_operator_codes(&self, operator: Id<Operator>) -> web::Result<()> {
        self.limits.check("operator-code", &operator.to_string(), CODES).await
    }

    /// Whether `code` is one of the account's, which it uses up.
    pub(super) async fn second_factor_holds(
        &self,
        db: &mut PgConnection,
        account: &Account,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let (keys, product) = (self.access_tokens.keys(), self.mailer.product());
        Ok(account.use_code(db, keys, product, code, now).await?
            || recovery_code::consume(db, account.id, code, now).await?)
    }

    /// Ends the session of an operator.
    pub(crate) async fn sign_out_operator(&self, operator: Operator) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        session::revoke(&mut tx, operator.session, now).await?;
        record(&mut tx, operator.id, "operator.signed_out", None, now).await?;
        Ok(tx.commit().await?)
    }
}

async fn record(
    db: &mut PgConnection,
    operator: Id<Operator>,
    action: &'static str,
    device: Option<&Device>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let ip = device.map(|device| device.ip.0);
    let origin = Origin { actor: Actor::Operator(operator), ip, request_id: None };
    Entry::new(&origin, None, action, operator).record(db, now).await
}
