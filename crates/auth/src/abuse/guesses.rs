use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{EmailAddress, Id};
use rate_limit::Quota;
use sqlx::PgExecutor;
use web::{ClientIp, Problem};

use super::limits::{blind, network};
use crate::{Auth, accounts::user::User};

/// Attempts that cost no time.
pub(crate) const FREE: i32 = 10;
/// Networks that somebody signed in from this long ago are still theirs.
const FAMILIAR: TimeDelta = TimeDelta::days(90);
/// Older attempts no longer count: a few a day are no attack, and an attack does not pause.
const FORGOTTEN: TimeDelta = TimeDelta::days(1);

/// Attempts at one password by one party: everybody from anywhere, or one network that its owner has
/// signed in from. So strangers do not keep the owner out of where they always sign in, and a valid
/// session, a link or a code from a mail are not counted here at all.
#[derive(Clone, Debug)]
pub(crate) struct Guesses(String);

impl Auth {
    /// Whose attempts this one counts with. Without an account it takes the same time and is the same
    /// to see.
    ///
    /// The count belongs to the password: who chooses a new one by mail starts afresh.
    pub(crate) async fn guesses(
        &self,
        ip: ClientIp,
        email: &EmailAddress,
        user: Option<&User>,
    ) -> sqlx::Result<Guesses> {
        let id = user.map_or_else(Id::new, |user| user.id);
        let since = self.clock.now() - FAMILIAR;
        let known = familiar_networks(self.db.pool(), id, since).await?;
        let password = user.and_then(|user| user.password_hash.as_deref()).unwrap_or_default();
        let here = network(ip);
        let place = if known.contains(&here) { here.as_str() } else { "" };
        Ok(Guesses(blind(&format!("{email} {password} {place}"))))
    }

    /// Counts an attempt before it is known whether it is right, and refuses it while it must wait:
    /// so waiting tells nothing about the password. Answers how many there have been.
    pub(crate) async fn count_guess(&self, guesses: &Guesses) -> web::Result<i32> {
        if !self.limits.is_on() {
            return Ok(0);
        }
        let now = self.clock.now();
        if let Some(count) = guesses.count(self.db.pool(), now).await? {
            return Ok(count);
        }
        let until = guesses.blocked_until(self.db.pool()).await?.unwrap_or(now);
        Err(refusal((until - now).to_std().unwrap_or_default()))
    }
}

/// Up to ten attempts cost nothing, the next ones 30 seconds, a minute, two, and so on to an hour.
fn refusal(wait: Duration) -> Problem {
    rate_limit::refusal("sign-in-attempts", Quota { count: 1, per: wait }, wait)
}

impl Guesses {
    /// `None` while the next attempt must wait.
    async fn count(
        &self,
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<i32>> {
        sqlx::query_scalar!(
            r#"insert into guesses as known (key, count, last_at) values ($1, 1, $2)
               on conflict (key) do update
               set count = case when known.last_at < $3 then 1 else known.count + 1 end,
                   last_at = $2,
                   blocked_until = case
                       when known.last_at < $3 or known.count + 1 < $4 then null
                       else $2::timestamptz + least(
                           interval '1 hour',
                           interval '30 s' * power(2, least(known.count + 1 - $4, 7))) end
               where known.blocked_until is null or known.blocked_until <= $2
               returning count"#,
            self.0,
            now,
            now - FORGOTTEN,
            FREE,
        )
        .fetch_optional(db)
        .await
    }

    async fn blocked_until(&self, db: impl PgExecutor<'_>) -> sqlx::Result<Option<DateTime<Utc>>> {
        let until = sqlx::query_scalar!("select blocked_until from guesses where key = $1", self.0);
        Ok(until.fetch_optional(db).await?.flatten())
    }

    /// The password was right: whoever knows it may mistype it again.
    pub(crate) async fn forget(&self, db: impl PgExecutor<'_>) -> sqlx::Result<()> {
        sqlx::query!("delete from guesses where key = $1", self.0).execute(db).await?;
        Ok(())
    }

    /// Removes those that no longer count.
    pub(crate) async fn purge(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
        let until = now - FORGOTTEN;
        sqlx::query!("delete from guesses where last_at < $1", until).execute(db).await?;
        Ok(())
    }
}

/// The networks that `user` has signed in from, or was active from, since then.
async fn familiar_networks(
    db: impl PgExecutor<'_>,
    user: Id<kernel::User>,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<String>> {
    let addresses = sqlx::query_scalar!(
        r#"select ip as "ip!" from sessions
           where user_id = $1 and last_seen_at > $2 and ip is not null
           order by id desc
           limit 100"#,
        user as _,
        since,
    )
    .fetch_all(db)
    .await?;
    let addresses = addresses.iter().filter_map(|ip| ip.parse().ok());
    Ok(addresses.map(|ip| network(ClientIp(ip))).collect())
}
