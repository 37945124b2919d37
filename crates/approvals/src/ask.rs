use audit::{Entry, Origin};
use auth::{Recipient, secret};
use chrono::TimeDelta;
use email::ClientApproval;
use kernel::{EmailAddress, Id};
use rate_limit::Quota;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use web::Caller;

use crate::{Approval, Approvals, Error, Result, Status};

/// Mails that one org may have us send to strangers.
const MAILS: Quota = Quota::per_hour(30);

/// What somebody is to be asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApprovalInput {
    /// Who is asked.
    pub(crate) email: EmailAddress,
    /// Their name, to greet them.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub(crate) name: String,
    /// What is to be approved.
    #[schema(min_length = 1, max_length = 120, example = "Poster, second draft")]
    pub(crate) title: String,
    /// What there is to know about it. It is shown on the page, not in the mail.
    #[serde(default)]
    #[schema(max_length = 5000)]
    pub(crate) description: String,
    /// How long the link works.
    #[serde(default = "ApprovalInput::default_days")]
    #[schema(minimum = 1, maximum = 90, default = 14)]
    pub(crate) days: i64,
}

impl ApprovalInput {
    fn default_days() -> i64 {
        14
    }

    fn check(&self) -> Result<()> {
        let length = |text: &str| text.trim().chars().count();
        if !(1..=120).contains(&length(&self.title)) {
            return Err(Error::Field("/title", "must be 1 to 120 characters"));
        }
        if length(&self.name) > 100 {
            return Err(Error::Field("/name", "must be at most 100 characters"));
        }
        if length(&self.description) > 5000 {
            return Err(Error::Field("/description", "must be at most 5000 characters"));
        }
        if !(1..=90).contains(&self.days) {
            return Err(Error::Field("/days", "must be 1 to 90"));
        }
        Ok(())
    }
}

impl Approvals {
    /// Asks an outsider by mail. The link is in that mail and nowhere else.
    pub(crate) async fn ask(
        &self,
        caller: &Caller,
        input: ApprovalInput,
        origin: &Origin,
    ) -> Result<Approval> {
        input.check()?;
        self.limits.check("approvals", &caller.org.to_string(), MAILS).await?;
        self.mailer.check_domain(&input.email).await?;
        let (now, token) = (self.clock.now(), secret::random());
        let days = input.days;
        let approval = Approval {
            id: Id::new(),
            asked_by: caller.user,
            email: input.email,
            name: input.name.trim().to_owned(),
            title: input.title.trim().to_owned(),
            description: input.description.trim().to_owned(),
            status: Status::Pending,
            comment: None,
            created_at: now,
            expires_at: now + TimeDelta::days(days),
            decided_at: None,
        };
        let mut tx = self.db.begin().await?;
        let asker = Recipient::person(&mut *tx, caller.user).await?.ok_or(Error::NotFound)?;
        let org = sqlx::query_scalar!("select name from orgs where id = $1", caller.org as _)
            .fetch_one(&mut *tx)
            .await?;
        approval.insert(&mut tx, caller.org, &secret::hash(&token)).await?;
        let mut link = self.app_url.clone();
        link.set_path(&format!("/v1/approval-links/{token}"));
        let mail = ClientApproval {
            name: &approval.name,
            asker: &asker.name,
            asker_email: &asker.email,
            org: &org,
            title: &approval.title,
            link: &link,
            days,
        };
        self.mailer.queue(&mut tx, &approval.email, None, &mail).await?;
        Entry::new(origin, Some(caller.org), "approval.requested", approval.id)
            .after(json!({ "email": approval.email, "title": approval.title }))
            .record(&mut tx, now)
            .await?;
        tx.commit().await?;
        Ok(approval)
    }

    /// Takes a question back: the link stops working.
    pub(crate) async fn revoke(
        &self,
        caller: &Caller,
        id: Id<Approval>,
        origin: &Origin,
    ) -> Result<()> {
        let (mut tx, now) = (self.db.tenant(caller.org).await?, self.clock.now());
        let mut approval = Approval::get(&mut *tx, id).await?;
        approval.end(&mut tx, Status::Revoked, None, now).await?;
        let entry = Entry::new(origin, Some(caller.org), "approval.revoked", id);
        entry.record(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }
}
