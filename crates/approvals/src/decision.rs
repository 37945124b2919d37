use audit::{Actor, Entry, Origin};
use auth::{Recipient, secret};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use web::ClientIp;

use crate::{Approval, Approvals, Error, Result, Status, webhook_events::ApprovalDecided};

/// What an outsider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// The answer to what was asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    pub(crate) decision: Verdict,
    /// What else there is to say.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub(crate) comment: String,
}

impl Approvals {
    /// What a link is about, as long as it can be decided.
    pub(crate) async fn asked(&self, token: &str) -> Result<Approval> {
        let mut tx = self.db.begin().await?;
        let (approval, _) = Approval::lock_by_link(&mut tx, &secret::hash(token)).await?;
        approval.check_open(self.clock.now())?;
        Ok(approval)
    }

    /// Decides, once: of several answers at the same time one counts. Whoever asked is told.
    pub(crate) async fn decide(
        &self,
        token: &str,
        decision: Decision,
        ip: ClientIp,
    ) -> Result<Approval> {
        let comment = decision.comment.trim();
        if comment.chars().count() > 1000 {
            return Err(Error::Field("/comment", "must be at most 1000 characters"));
        }
        let comment = (!comment.is_empty()).then(|| comment.to_owned());
        let (mut tx, now) = (self.db.begin().await?, self.clock.now());
        let (mut approval, org) = Approval::lock_by_link(&mut tx, &secret::hash(token)).await?;
        approval.check_open(now)?;
        let approved = decision.decision == Verdict::Approve;
        let status = if approved { Status::Approved } else { Status::Rejected };
        approval.end(&mut tx, status, comment, now).await?;
        let action = if approved { "approval.approved" } else { "approval.rejected" };
        // Whoever has the link is nobody we know.
        let origin = Origin { actor: Actor::System, ip: Some(ip.0), request_id: None };
        Entry::new(&origin, Some(org), action, approval.id)
            .after(json!({ "email": approval.email }))
            .record(&mut tx, now)
            .await?;
        webhooks::emit(&mut tx, org, &ApprovalDecided::from(&approval), now).await?;
        self.tell(&mut tx, &approval, org, approved).await?;
        tx.commit().await?;
        Ok(approval)
    }

    /// Whoever asked, or, if they have left, the org's owners.
    async fn tell(
        &self,
        db: &mut PgConnection,
        approval: &Approval,
        org: Id<Org>,
        approved: bool,
    ) -> sqlx::Result<()> {
        let recipients = match Recipient::member(&mut *db, org, approval.asked_by).await? {
            Some(asker) => vec![asker],
            None => Recipient::owners(&mut *db, org).await?,
        };
        for Recipient { email, user, name } in &recipients {
            let mail = email::ApprovalDecided {
                name,
                title: &approval.title,
                decider: &approval.email,
                approved,
                comment: approval.comment.as_deref(),
            };
            self.mailer.queue(db, email, *user, &mail).await?;
        }
        Ok(())
    }
}
