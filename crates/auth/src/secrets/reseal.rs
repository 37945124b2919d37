use sealing::Resealed;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Config, Keys};

/// A sealed secret and to whom it is bound.
struct Stored {
    owner: Uuid,
    sealed: Vec<u8>,
}

/// Seals whatever is kept sealed with the present `AUTH_SECRET`: the previous one is not needed any more
/// afterwards. People may use and change their second factors meanwhile.
pub async fn reseal(db: &PgPool, config: &Config) -> anyhow::Result<Resealed> {
    let (sealer, mut done) = (Keys::new(config)?.sealer, Resealed::default());
    let people = sqlx::query_as!(
        Stored,
        "select user_id as owner, totp_secret as sealed from second_factors order by 1",
    );
    for stored in people.fetch_all(db).await? {
        let Some(renewed) = done.renew(&sealer, stored.owner.as_bytes(), &stored.sealed) else {
            continue;
        };
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
        let Some(renewed) = done.renew(&sealer, stored.owner.as_bytes(), &stored.sealed) else {
            continue;
        };
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
        let Some(renewed) = done.renew(&sealer, stored.owner.as_bytes(), &stored.sealed) else {
            continue;
        };
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
