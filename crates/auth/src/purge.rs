use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::{
    Auth,
    abuse::{blocks::IpBlock, guesses::Guesses},
    lifetimes,
    passkeys::ceremony,
    social::SocialLogin,
};

/// Rows per statement: long statements are cancelled, and hold up others.
const BATCH: i64 = 1000;

/// Deletes sessions and tokens that have been dead for a while.
#[derive(Serialize, Deserialize)]
pub(crate) struct PurgeSessions {}

impl Job for PurgeSessions {
    const NAME: &'static str = "auth.purge_sessions";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        let (db, until) = (auth.db.pool(), auth.clock.now() - lifetimes::REMAINS);
        let email_tokens = || {
            sqlx::query!(
                "delete from email_tokens where hash in
                     (select hash from email_tokens where expires_at < $1 limit $2)",
                until,
                BATCH,
            )
        };
        while email_tokens().execute(db).await?.rows_affected() > 0 {}
        sqlx::query!("delete from registrations where expires_at < $1", until).execute(db).await?;
        sqlx::query!("delete from magic_links where expires_at < $1", until).execute(db).await?;
        sqlx::query!("delete from sign_in_challenges where expires_at < $1", until)
            .execute(db)
            .await?;
        Guesses::purge(db, auth.clock.now()).await?;
        SocialLogin::purge(db, auth.clock.now()).await?;
        ceremony::purge(db, auth.clock.now()).await?;
        IpBlock::purge(db, auth.clock.now()).await?;
        let refresh_tokens = || {
            sqlx::query!(
                "delete from refresh_tokens where hash in
                     (select hash from refresh_tokens where replaced_at < $1 limit $2)",
                until,
                BATCH,
            )
        };
        while refresh_tokens().execute(db).await?.rows_affected() > 0 {}
        let sessions = || {
            sqlx::query!(
                "delete from sessions where id in
                     (select id from sessions where expires_at < $1 or revoked_at < $1 limit $2)",
                until,
                BATCH,
            )
        };
        while sessions().execute(db).await?.rows_affected() > 0 {}
        Ok(())
    }
}
