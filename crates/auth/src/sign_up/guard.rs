use axum::http::StatusCode;
use kernel::{EmailAddress, Id};
use web::Problem;

use super::{InviteCode, SignUp, disposable::is_disposable};
use crate::{Auth, Result};

impl Auth {
    /// Refuses who may not register with `email`. Says nothing of whether it has an account. Answers
    /// the invite code to be used up once they have one.
    pub(crate) async fn may_register(
        &self,
        email: &EmailAddress,
        code: Option<&str>,
    ) -> Result<Option<Id<InviteCode>>> {
        let config = &self.config.sign_up;
        if config.refuse_disposable_email && is_disposable(email, &config.disposable_email_domains)
        {
            let detail = "mailboxes to be thrown away are not accepted";
            let problem = Problem::unprocessable("disposable_email", detail)
                .action("Register with an address where you can be reached in future.");
            return Err(problem.into());
        }
        let needed = match config.sign_up {
            SignUp::Open => None,
            SignUp::Invite => Some("Ask somebody for an invite code, and send it as invite_code."),
            SignUp::Waitlist => {
                Some("Join the waitlist with POST /v1/waitlist-entries; you will be sent a code.")
            }
            SignUp::Closed => {
                let problem = refused("sign_up_closed", "nobody can register at the moment");
                return Err(problem.action("Come back later.").into());
            }
        };
        match (code, needed) {
            (Some(code), _) => {
                let found = InviteCode::find(self.db.pool(), code, email, self.clock.now()).await?;
                found.map(Some).ok_or_else(|| invalid_invite_code().into())
            }
            (None, None) => Ok(None),
            (None, Some(action)) => {
                let detail = "registering takes an invite code";
                Err(refused("invite_code_required", detail).action(action).into())
            }
        }
    }
}

fn refused(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, detail)
}

/// Unknown, used up, too old, or for another address: which stays our secret.
pub(super) fn invalid_invite_code() -> Problem {
    refused(
        "invalid_invite_code",
        "the invite code does not hold, or no longer, or not for this address",
    )
    .action("Check it, or ask for another one.")
}
