use kernel::Id;
use sealing::Resealed;
use secrecy::SecretString;
use sqlx::PgPool;

use crate::{Endpoint, sealer};

/// Seals the secrets of all endpoints with the newest of `secrets`, so that the others can be removed.
/// Secrets may be rotated meanwhile.
pub async fn reseal<'a>(
    db: &PgPool,
    secrets: impl IntoIterator<Item = &'a SecretString>,
) -> anyhow::Result<Resealed> {
    let (sealer, mut done) = (sealer(secrets)?, Resealed::default());
    let kept = sqlx::query!(
        r#"select id as "id: Id<Endpoint>", secret, previous_secret from webhook_endpoints order by 1"#
    );
    for row in kept.fetch_all(db).await? {
        let owner = row.id.uuid();
        let mut renew = |sealed: &Vec<u8>| done.renew(&sealer, owner.as_bytes(), sealed);
        let secret = renew(&row.secret);
        let previous = row.previous_secret.as_ref().and_then(&mut renew);
        if secret.is_none() && previous.is_none() {
            continue;
        }
        sqlx::query!(
            "update webhook_endpoints
             set secret = coalesce($3, secret), previous_secret = coalesce($4, previous_secret)
             where id = $1 and secret = $2",
            owner,
            row.secret,
            secret,
            previous,
        )
        .execute(db)
        .await?;
    }
    Ok(done)
}
