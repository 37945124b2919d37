use chrono::{DateTime, TimeDelta, Utc};
use email::NewSignIn;
use kernel::{Id, User};
use sqlx::{PgConnection, PgExecutor};

use super::Device;
use crate::{Auth, accounts::user};

/// An account that is older has been signed in to before, even if nothing is left of it: sessions are
/// deleted some time after their end.
const FIRST_SIGN_IN: TimeDelta = TimeDelta::hours(1);

impl Auth {
    /// Mails somebody that their account is signed in to from a device that it did not know. Their first
    /// sign-in ever is no news to them.
    pub(super) async fn tell_of_new_device(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
        device: &Device,
    ) -> sqlx::Result<()> {
        let at = self.clock.now();
        if !is_new(&mut *db, user, device, at).await? {
            return Ok(());
        }
        let Some(user) = user::User::get(&mut *db, user).await? else { return Ok(()) };
        let ip = device.ip.to_string();
        let name = device.user_agent.as_deref().unwrap_or_default();
        let mail = NewSignIn { name: &user.name, at, device: name, ip: &ip };
        self.mailer.queue(db, &user.email, Some(user.id), &mail).await?;
        Ok(())
    }
}

/// A device is known by what it calls itself together with where it is, roughly: the first alone is
/// easily claimed, and the second changes from one café to the next.
async fn is_new(
    db: impl PgExecutor<'_>,
    user: Id<User>,
    device: &Device,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select (count(*) > 0 or exists (select from users where id = $1 and created_at < $4))
                  and not coalesce(bool_or(
                      user_agent is not distinct from $2
                      and network(set_masklen(ip::inet, case family(ip::inet) when 4 then 16 else 32 end))
                        = network(set_masklen(here, case family(here) when 4 then 16 else 32 end))),
                  false) as "new!"
           from sessions, (select $3::text::inet as here) it
           where user_id = $1"#,
        user as _,
        device.user_agent,
        device.ip.to_string(),
        now - FIRST_SIGN_IN,
    )
    .fetch_one(db)
    .await
}
