use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::{Auth, lifetimes};

/// Deletes sessions and tokens that have been dead for a while.
#[derive(Serialize, Deserialize)]
pub(crate) struct PurgeSessions {}

impl Job for PurgeSessions {
    const NAME: &'static str = "auth.purge_sessions";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        let (db, until) = (auth.db.pool(), auth.clock.now() - lifetimes::REMAINS);
        sqlx::query!("delete from email_tokens where expires_at < $1", until).execute(db).await?;
        sqlx::query!("delete from refresh_tokens where replaced_at < $1", until)
            .execute(db)
            .await?;
        sqlx::query!("delete from sessions where expires_at < $1 or revoked_at < $1", until)
            .execute(db)
            .await?;
        Ok(())
    }
}
