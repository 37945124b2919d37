use sqlx::PgConnection;

use super::user::User;
use crate::{Error, Result, passkeys::passkey::Passkey, social::identity::Identity};

/// Refuses to leave `user` with nothing to sign in with.
pub(crate) async fn check(db: &mut PgConnection, user: &User) -> Result<()> {
    let passkeys = Passkey::list(&mut *db, user.id).await?;
    let elsewhere = Identity::list(&mut *db, user.id).await?;
    // One that was copied opens nothing.
    let opens = passkeys.iter().any(|it| it.copied_at.is_none());
    if user.password_hash.is_some() || opens || !elsewhere.is_empty() {
        return Ok(());
    }
    Err(Error::OnlyWayIn)
}
