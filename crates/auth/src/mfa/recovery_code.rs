use chrono::{DateTime, Utc};
use kernel::{Id, User};
use rand::distr::{Alphanumeric, SampleString};
use sqlx::{PgConnection, PgExecutor};

use crate::secrets::secret;

/// How many there are.
const CODES: usize = 10;
/// Characters of base 62, worth 119 bits: nothing to be guessed.
const LENGTH: usize = 20;

/// New codes, and what is stored of them.
pub(crate) fn generate() -> (Vec<String>, Vec<Vec<u8>>) {
    let codes: Vec<String> =
        (0..CODES).map(|_| Alphanumeric.sample_string(&mut rand::rng(), LENGTH)).collect();
    let hashes = codes.iter().map(|code| secret::hash(code).to_vec()).collect();
    (codes, hashes)
}

/// Gives a person new codes; the earlier ones stop working.
pub(crate) async fn issue(db: &mut PgConnection, user: Id<User>) -> sqlx::Result<Vec<String>> {
    let (codes, hashes) = generate();
    void_all(db, user).await?;
    sqlx::query!(
        "insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])",
        user as _,
        &hashes,
    )
    .execute(db)
    .await?;
    Ok(codes)
}

/// Uses a code of `user` up; `false` if it is none, or was used before.
pub(super) async fn consume(
    db: &mut PgConnection,
    user: Id<User>,
    code: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let spent = sqlx::query!(
        "update recovery_codes set used_at = $3
         where user_id = $1 and hash = $2 and used_at is null",
        user as _,
        &secret::hash(code),
        now,
    );
    Ok(spent.execute(db).await?.rows_affected() == 1)
}

/// How many can still be used.
pub(super) async fn left(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from recovery_codes where user_id = $1 and used_at is null"#,
        user as _,
    )
    .fetch_one(db)
    .await
}

pub(crate) async fn void_all(db: &mut PgConnection, user: Id<User>) -> sqlx::Result<()> {
    sqlx::query!("delete from recovery_codes where user_id = $1", user as _).execute(db).await?;
    Ok(())
}
