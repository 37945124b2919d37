use email::SecurityNotice;
use jobs::Job;
use kernel::EmailAddress;
use rate_limit::Quota;
use serde::{Deserialize, Serialize};

use super::limits::blind;
use crate::{Auth, accounts::user::User};

/// One warning tells enough.
const WARNINGS: Quota = Quota { count: 1, per: std::time::Duration::from_hours(24) };

/// Tells the owner of an account that somebody keeps guessing its password, and what they can do.
///
/// A job, so that the answer to the guess cannot tell whether there is such an account.
#[derive(Serialize, Deserialize)]
pub(crate) struct WarnOfGuesses {
    pub(crate) email: EmailAddress,
}

impl Job for WarnOfGuesses {
    const NAME: &'static str = "auth.warn_of_guesses";
    type Context = Auth;

    async fn run(self, auth: Auth) -> anyhow::Result<()> {
        let user = User::by_email(auth.db.pool(), &self.email).await?;
        let Some(user) = user.filter(|user| user.disabled_at.is_none()) else { return Ok(()) };
        if !auth.has_room("warnings", &blind(user.email.as_str()), WARNINGS).await? {
            return Ok(());
        }
        let paragraphs = [
            "somebody keeps trying passwords on your account. None was right; from now on they \
             wait longer after every attempt."
                .to_owned(),
            "If it is you: ask for a new password, or for a sign-in code by mail; both work at \
             once. If it is not, and your password is used elsewhere too, choose another one."
                .to_owned(),
        ];
        let (name, subject) = (user.name.as_str(), "Somebody is guessing your password");
        let notice = SecurityNotice { name, subject, paragraphs: &paragraphs };
        let mut tx = auth.db.begin().await?;
        auth.mailer.queue(&mut tx, &user.email, Some(user.id), &notice).await?;
        Ok(tx.commit().await?)
    }
}
