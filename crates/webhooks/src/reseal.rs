use kernel::Id;
use sealing::Resealed;
use secrecy::SecretString;
use sqlx::PgPool;

use crate::{Endpoint, sealer};

/// Seals the secrets of all endpoints with the newest of `secrets`, so that the others can be removed.
/// Secrets may be rotated meanwhile: it looks again until there is nothing left to do.
pub async fn reseal<'a>(
    db: &PgPool,
    secrets: impl IntoIterator<Item = &'a SecretString>,
) -> anyhow::Result<Resealed> {
    let (sealer, mut resealed) = (sealer(secrets)?, 0);
    loop {
        let mut seen = Resealed::default();
        let kept = sqlx::query!(
            r#"select id as "id: Id<Endpoint>", secret, previous_secret from webhook_endpoints order by 1"#
        );
        for row in kept.fetch_all(db).await? {
            let (owner, before) = (row.id.uuid(), seen.resealed);
            let mut renew = |sealed: &Vec<u8>| seen.renew(&sealer, owner.as_bytes(), sealed);
            let secret = renew(&row.secret);
            let previous = row.previous_secret.as_ref().and_then(&mut renew);
            if secret.is_none() && previous.is_none() {
                continue;
            }
            let renewed = sqlx::query!(
                "update webhook_endpoints
                 set secret = coalesce($3, secret), previous_secret = coalesce($4, previous_secret)
                 where id = $1 and secret = $2 and previous_secret is not distinct from $5",
                owner,
                row.secret,
                secret,
                previous,
                row.previous_secret,
            );
            // None: it was rotated since it was read.
            resealed += renewed.execute(db).await?.rows_affected() * (seen.resealed - before);
        }
        if seen.resealed == 0 {
            let current = seen.current.saturating_sub(resealed);
            return Ok(Resealed { resealed, current, lost: seen.lost });
        }
    }
}
