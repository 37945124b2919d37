use anyhow::Context;
use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use sqlx::PgConnection;
use totp_rs::{Builder, Totp};
use web::Operator;

use super::account::Account;
use crate::{Keys, secrets::sealed};

/// A time-based code (RFC 6238): six digits, 30 seconds, one step of tolerance to either side.
pub(crate) fn totp(secret: &[u8], product: &str, email: &EmailAddress) -> anyhow::Result<Totp> {
    // The two are joined by a colon in the address that authenticators scan.
    let product = product.replace(':', " ");
    let builder = Builder::new().with_secret(secret.to_vec());
    builder
        .with_issuer(Some(product))
        .with_account_name(email.to_string())
        .build()
        .context("a second factor")
}

/// A new secret of the recommended 160 bits.
pub(crate) fn generate() -> Vec<u8> {
    rand::random::<[u8; 20]>().to_vec()
}

impl Account {
    /// Uses up a time-based code. Each works once, and none that is older than the last one used.
    pub(crate) async fn use_code(
        &self,
        db: &mut PgConnection,
        keys: &Keys,
        product: &str,
        code: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<bool> {
        let Some(sealed) = &self.totp_secret else { return Ok(false) };
        let secret = sealed::open(keys, self.id.uuid().as_bytes(), sealed)?;
        let time = u64::try_from(now.timestamp())?;
        let Some(step) = totp(&secret, product, &self.email)?.check(code, time) else {
            return Ok(false);
        };
        let step = i64::try_from(step)?;
        Ok(step > self.totp_last_step && advance(db, self.id, step).await?)
    }
}

async fn advance(db: &mut PgConnection, id: Id<Operator>, step: i64) -> sqlx::Result<bool> {
    let advanced = sqlx::query!(
        "update operators set totp_last_step = $2 where id = $1 and totp_last_step < $2",
        id as _,
        step,
    );
    Ok(advanced.execute(db).await?.rows_affected() == 1)
}
