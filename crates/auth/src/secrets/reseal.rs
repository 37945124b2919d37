use sqlx::PgPool;
use uuid::Uuid;

use super::sealed;
use crate::{Config, Keys};

/// What became of secrets that are kept sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sealed with the previous `AUTH_SECRET` before, and with the present one now.
    pub resealed: u64,
    /// Sealed with the present one before.
    pub current: u64,
    /// Neither opens them: their owners need a new second factor.
    pub lost: u64,
}

/// A sealed secret and to whom it is bound.
struct Stored {
    owner: Uuid,
    sealed: Vec<u8>,
}

/// Seals whatever is kept sealed with the present `AUTH_SECRET`: the previous one is not needed any more
/// afterwards. People may use and change their second factors meanwhile.
pub async fn reseal(db: &PgPool, config: &Config) -> anyhow::Result<Resealed> {
    let (keys, mut done) = (Keys::new(config)?, Resealed::default());
    let people = sqlx::query_as!(
        Stored,
        "select user_id as owner, totp_secret as sealed from second_factors order by 1",
    );
    for stored in people.fetch_all(db).await? {
        let Some(renewed) = done.renew(&keys, &stored) else { continue };
        sqlx::query!(
            "update second_factors set totp_secret = $3 where user_id = $1 and totp_secret = $2",
            stored.owner,
            stored.sealed,
            renewed,
        )
        .execute(db)
        .await?;
    }
    let operators = sqlx::query_as!(
        Stored,
        r#"select id as owner, totp_secret as "sealed!" from operators
           where totp_secret is not null order by 1"#,
    );
    for stored in operators.fetch_all(db).await? {
        let Some(renewed) = done.renew(&keys, &stored) else { continue };
        sqlx::query!(
            "update operators set totp_secret = $3 where id = $1 and totp_secret = $2",
            stored.owner,
            stored.sealed,
            renewed,
        )
        .execute(db)
        .await?;
    }
    let invited = sqlx::query_as!(
        Stored,
        r#"select operator_id as owner, totp_secret as "sealed!" from operator_enrolments
           where totp_secret is not null order by 1"#,
    );
    for stored in invited.fetch_all(db).await? {
        let Some(renewed) = done.renew(&keys, &stored) else { continue };
        sqlx::query!(
            "update operator_enrolments set totp_secret = $3
             where operator_id = $1 and totp_secret = $2",
            stored.owner,
            stored.sealed,
            renewed,
        )
        .execute(db)
        .await?;
    }
    Ok(done)
}

impl Resealed {
    /// The secret as it is to be kept, if it is not already.
    fn renew(&mut self, keys: &Keys, stored: &Stored) -> Option<Vec<u8>> {
        let owner = stored.owner.as_bytes();
        if sealed::is_current(keys, owner, &stored.sealed) {
            self.current += 1;
            return None;
        }
        let opened = sealed::open(keys, owner, &stored.sealed);
        let renewed = opened.and_then(|secret| sealed::seal(keys, owner, &secret)).ok();
        let count = if renewed.is_some() { &mut self.resealed } else { &mut self.lost };
        *count += 1;
        renewed
    }
}
