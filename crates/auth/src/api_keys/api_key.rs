use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Problem;

use crate::secrets::secret;

const PREFIX: &str = "slip_";
/// Characters of base 62, worth 178 bits.
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;
/// How much of a key is shown to tell it from others; the rest is worth 137 bits.
const SHOWN: usize = PREFIX.len() + 7;

/// A program's access to one org.
///
/// A key is `slip_[0-9A-Za-z]{36}`: thirty random characters, and the CRC-32 of all before it as six
/// digits of base 62, so that scanners can tell a leaked key from a chance match.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApiKey {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<kernel::ApiKey>,
    /// What its makers call it.
    #[schema(example = "Production server")]
    pub name: String,
    /// How it begins, to recognise it by.
    #[schema(example = "slip_Ab3dE5g")]
    pub prefix: String,
    /// Names of the permissions it has, `*:read` for all that only look, or `*` for all that keys may
    /// have. Never more than its maker has.
    #[schema(example = json!(["projects:read"]))]
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working; absent: never by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to within two minutes.
    pub last_used_at: Option<DateTime<Utc>>,
    /// How many requests a minute it may make; absent: as many as its maker.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<i32>,
    /// Until when the secret before this one works too.
    pub previous_expires_at: Option<DateTime<Utc>>,
}

/// What to make a key of.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What to call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it stops working by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// How many requests a minute it may make, within the limits of its maker and org.
    pub requests_per_minute: Option<i32>,
}

impl NewApiKey {
    /// Refuses what no key can be.
    pub(crate) fn check(&self, now: DateTime<Utc>) -> web::Result<()> {
        if !(1..=100).contains(&self.name.chars().count()) || self.name.contains(char::is_control) {
            return Err(Problem::invalid_field("/name", "must be one line of 1 to 100 characters"));
        }
        if !(1..=50).contains(&self.scopes.len()) || !self.scopes.iter().all(|it| is_scope(it)) {
            let detail = "must be 1 to 50 names of permissions like projects:read, *:read or *";
            return Err(Problem::invalid_field("/scopes", detail));
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::invalid_field("/expires_at", "must be in the future"));
        }
        if self.requests_per_minute.is_some_and(|count| !(1..=1_000_000).contains(&count)) {
            return Err(Problem::invalid_field("/requests_per_minute", "must be 1 to 1000000"));
        }
        Ok(())
    }
}

fn is_scope(text: &str) -> bool {
    let is_word = |word: &str| {
        (1..=40).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    ["*", "*:read"].contains(&text)
        || text.split_once(':').is_some_and(|(what, may)| is_word(what) && is_word(may))
}

impl ApiKey {
    /// Makes a key for `org` that can do what `user` can, within its scopes. The secret is in the
    /// answer and nowhere else.
    pub(crate) async fn create(
        db: &mut PgConnection,
        org: Id<Org>,
        user: Id<User>,
        new: NewApiKey,
        now: DateTime<Utc>,
    ) -> sqlx::Result<(Self, SecretString)> {
        let secret = generate();
        let key = Self {
            id: Id::new(),
            name: new.name,
            prefix: secret[..SHOWN].to_owned(),
            scopes: new.scopes,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
            requests_per_minute: new.requests_per_minute,
            previous_expires_at: None,
        };
        sqlx::query!(
            "insert into api_keys
                 (id, org_id, user_id, name, prefix, hash, scopes, created_at, expires_at,
                  requests_per_minute)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            key.id as _,
            org as _,
            user as _,
            key.name,
            key.prefix,
            &secret::hash(&secret),
            &key.scopes,
            now,
            key.expires_at,
            key.requests_per_minute,
        )
        .execute(db)
        .await?;
        Ok((key, secret.into()))
    }

    /// The keys of `org` that were not revoked, oldest first, from `after` on.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        after: Option<Id<kernel::ApiKey>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, prefix, scopes, created_at, expires_at, last_used_at,
                      requests_per_minute, previous_expires_at
               from api_keys
               where org_id = $1 and revoked_at is null and ($2::uuid is null or id > $2)
               order by id
               limit $3"#,
            org as _,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// Gives a key of `org` a new secret; the one before works until `overlap_end`, and the one
    /// before that no longer. `None` if there is no such key.
    pub(crate) async fn rotate(
        db: &mut PgConnection,
        org: Id<Org>,
        id: Id<kernel::ApiKey>,
        overlap_end: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<(Self, SecretString)>> {
        let secret = generate();
        let key = sqlx::query_as!(
            Self,
            r#"update api_keys
               set previous_hash = hash, previous_expires_at = $3, hash = $4, prefix = $5
               where id = $2 and org_id = $1 and revoked_at is null
                 and (expires_at is null or expires_at > $6)
               returning id as "id: _", name, prefix, scopes, created_at, expires_at, last_used_at,
                         requests_per_minute, previous_expires_at"#,
            org as _,
            id as _,
            overlap_end,
            &secret::hash(&secret),
            &secret[..SHOWN],
            now,
        )
        .fetch_optional(db)
        .await?;
        Ok(key.map(|key| (key, secret.into())))
    }

    /// Ends a key of `org`; answers whether there is one.
    pub(crate) async fn revoke(
        db: &mut PgConnection,
        org: Id<Org>,
        id: Id<kernel::ApiKey>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let revoked = sqlx::query!(
            "update api_keys set revoked_at = $3
             where id = $2 and org_id = $1 and revoked_at is null",
            org as _,
            id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(revoked.rows_affected() == 1)
    }

    /// Notes a use, at most once a minute.
    pub(crate) async fn touch(
        db: impl PgExecutor<'_>,
        id: Id<kernel::ApiKey>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update api_keys set last_used_at = $2
             where id = $1 and (last_used_at is null or last_used_at <= $2::timestamptz - interval '1 minute')",
            id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

fn generate() -> String {
    let random = Alphanumeric.sample_string(&mut rand::rng(), RANDOM);
    let body = format!("{PREFIX}{random}");
    let checksum = checksum(&body);
    body + &checksum
}

/// Whether `text` can be a key of ours. Most of what is sent by mistake is refused here, without
/// asking the database.
pub(crate) fn is_well_formed(text: &str) -> bool {
    text.is_ascii()
        && text.len() == PREFIX.len() + RANDOM + CHECKSUM
        && text.starts_with(PREFIX)
        && text.ends_with(&checksum(&text[..PREFIX.len() + RANDOM]))
}

fn checksum(body: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = ['0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize].into();
        rest /= 62;
    }
    digits.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{checksum, generate, is_well_formed};

    #[test]
    fn a_key_has_the_documented_form_and_a_typo_is_noticed() {
        let key = generate();
        assert!(is_well_formed(&key), "{key}");
        assert_eq!(key.len(), 41);
        assert!(key[5..].bytes().all(|b| b.is_ascii_alphanumeric()), "{key}");
        let typo = if key.ends_with('0') { "1" } else { "0" };
        for wrong in [&key[..40], &format!("{}{typo}", &key[..40]), &format!("{key}0"), "", "slip_"]
        {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
        assert_ne!(key, generate());
    }

    #[test]
    fn the_checksum_is_what_leak_scanners_compute() {
        // CRC-32 of "123456789" is 0xCBF43926, by the algorithm's own check value.
        assert_eq!(checksum("123456789"), "3jZRME");
    }
}
