use axum::http::StatusCode;
use kernel::{EmailAddress, Id};
use web::Problem;

use super::{InviteCode, SignUp, disposable::is_disposable, invite_code::CodeHash};
use crate::{Auth, Result, orgs::invitations};

impl Auth {
    /// Refuses who may not register with `email`. Says nothing of whether it has an account. Answers
    /// the invite code to be used up once they have one.
    pub(crate) async fn may_register(
        &self,
        email: &EmailAddress,
        code: Option<&CodeHash>,
    ) -> Result<Option<Id<InviteCode>>> {
        let config = &self.config.sign_up;
        if config.refuse_disposable_email && is_disposable(email, &config.disposable_email_domains)
        {
            let detail = "mailboxes to be thrown away are not accepted";
            let problem = Problem::unprocessable("disposable_email", detail)
                .action("Register with an address where you can be reached in future.");
            return Err(problem.into());
        }
        self.mailer.check_domain(email).await?;
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
            (Some(code), _) => self.invited_by(code, email).await,
            (None, None) => Ok(None),
            (None, Some(action)) => {
                let detail = "registering takes an invite code";
                Err(refused("invite_code_required", detail).action(action).into())
            }
        }
    }
}

impl Auth {
    /// The invite code that `code` is, if it is one for `email`. Whoever is asked into an org registers
    /// with the end of the link that they were sent, which uses nothing up.
    async fn invited_by(
        &self,
        code: &CodeHash,
        email: &EmailAddress,
    ) -> Result<Option<Id<InviteCode>>> {
        let (db, now) = (self.db.pool(), self.clock.now());
        let found = InviteCode::find(db, code, email, now).await?;
        if found.is_some() || invitations::is_open(db, code, email, now).await? {
            return Ok(found);
        }
        Err(invalid_invite_code().into())
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
