use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use email::InvitationMail;
use kernel::{EmailAddress, Id, Org, User};
use rate_limit::Quota;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::{Caller, Problem, Role};

use crate::{
    Auth, Result, lifetimes,
    orgs::{Seats, members::Member, org::CurrentOrg, rules},
    secrets::secret,
};

/// Mails that one org may have us send to strangers.
const MAILS: Quota = Quota::per_hour(30);

/// An invitation that was not accepted yet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Invitation {
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Id<Invitation>,
    pub(super) email: EmailAddress,
    /// What they will be.
    pub(super) role: Role,
    #[schema(value_type = String, format = Uuid)]
    pub(super) invited_by: Id<User>,
    pub(super) created_at: DateTime<Utc>,
    /// When the mail was last sent.
    pub(super) sent_at: DateTime<Utc>,
    /// When the link in it stops working.
    pub(super) expires_at: DateTime<Utc>,
}

impl Invitation {
    /// Those of `org` that are open, the oldest first; also those whose link is too old.
    pub(super) async fn list(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        after: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", role as "role: _",
                      invited_by as "invited_by: _", created_at, sent_at, expires_at
               from invitations
               where org_id = $1 and accepted_at is null and revoked_at is null
                 and ($2::uuid is null or id > $2)
               order by id
               limit $3"#,
            org as _,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    async fn insert(&self, db: &mut PgConnection, org: Id<Org>, hash: &[u8]) -> Result<()> {
        let inserted = sqlx::query!(
            "insert into invitations
                 (id, org_id, email, role, invited_by, hash, created_at, sent_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7, $8)
             on conflict (org_id, lower(email)) where accepted_at is null and revoked_at is null
             do nothing",
            self.id as _,
            org as _,
            &self.email as _,
            self.role as _,
            self.invited_by as _,
            hash,
            self.created_at,
            self.expires_at,
        )
        .execute(db)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(());
        }
        let detail = "somebody with this address is invited already";
        Err(Problem::conflict("already_invited", detail)
            .action("Send the invitation again, or revoke it first.")
            .into())
    }

    /// Gives an open invitation a new link; the one before stops working.
    async fn renew(
        db: &mut PgConnection,
        org: Id<Org>,
        id: Id<Self>,
        hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let renewed = sqlx::query_as!(
            Self,
            r#"update invitations set hash = $3, sent_at = $4, expires_at = $5
               where org_id = $1 and id = $2 and accepted_at is null and revoked_at is null
               returning id as "id: _", email as "email: _", role as "role: _",
                         invited_by as "invited_by: _", created_at, sent_at, expires_at"#,
            org as _,
            id as _,
            hash,
            now,
            now + lifetimes::INVITATION,
        )
        .fetch_optional(db)
        .await?;
        renewed.ok_or_else(|| not_found().into())
    }
}

fn not_found() -> Problem {
    Problem::not_found("invitation_not_found", "there is no such open invitation")
}

async fn is_member(
    db: &mut PgConnection,
    org: Id<Org>,
    email: &EmailAddress,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from memberships m join users u on u.id = m.user_id
                          where m.org_id = $1 and lower(u.email) = $2) as "member!""#,
        org as _,
        email as _,
    )
    .fetch_one(db)
    .await
}

impl Auth {
    /// Invites `email` to be a `role`. Nobody is told whether the address has an account.
    pub(super) async fn invite(
        &self,
        caller: &Caller,
        email: EmailAddress,
        role: Role,
        origin: &Origin,
    ) -> Result<Invitation> {
        let (org, now) = (caller.org, self.clock.now());
        if role == Role::Owner {
            let detail = "must be admin, member, billing or viewer; owners are made of members";
            return Err(Problem::invalid_field("/role", detail).into());
        }
        self.limits.check("invitations", &org.to_string(), MAILS).await?;
        self.mailer.check_domain(&email).await?;
        let token = secret::random();
        let mut tx = self.db.begin().await?;
        rules::lock(&mut tx, org).await?;
        let by = rules::role(&mut tx, org, caller.user).await?.unwrap_or(Role::Viewer);
        rules::check_change(by, Role::Viewer, Some(role))?;
        if is_member(&mut tx, org, &email).await? {
            let detail = "somebody with this address is a member already";
            return Err(Problem::conflict("already_a_member", detail).into());
        }
        Seats::of(&mut tx, org).await?.check()?;
        let invitation = Invitation {
            id: Id::new(),
            email,
            role,
            invited_by: caller.user,
            created_at: now,
            sent_at: now,
            expires_at: now + lifetimes::INVITATION,
        };
        invitation.insert(&mut tx, org, &secret::hash(&token)).await?;
        Entry::new(origin, Some(org), "invitation.created", invitation.id)
            .after(json!({ "email": invitation.email, "role": role }))
            .record(&mut tx, now)
            .await?;
        self.mail_invitation(&mut tx, caller, &invitation, &token).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// Sends an invitation again, with a new link and from now on as long.
    pub(super) async fn invite_again(
        &self,
        caller: &Caller,
        id: Id<Invitation>,
        origin: &Origin,
    ) -> Result<Invitation> {
        let (org, token, now) = (caller.org, secret::random(), self.clock.now());
        self.limits.check("invitations", &org.to_string(), MAILS).await?;
        let mut tx = self.db.begin().await?;
        let invitation = Invitation::renew(&mut tx, org, id, &secret::hash(&token), now).await?;
        Entry::new(origin, Some(org), "invitation.sent_again", id).record(&mut tx, now).await?;
        self.mail_invitation(&mut tx, caller, &invitation, &token).await?;
        tx.commit().await?;
        Ok(invitation)
    }

    /// Takes an open invitation back.
    pub(super) async fn revoke_invitation(
        &self,
        org: Id<Org>,
        id: Id<Invitation>,
        origin: &Origin,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.tenant(org).await?;
        let revoked = sqlx::query!(
            "update invitations set revoked_at = $3
             where org_id = $1 and id = $2 and accepted_at is null and revoked_at is null",
            org as _,
            id as _,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if revoked.rows_affected() == 0 {
            return Err(not_found().into());
        }
        Entry::new(origin, Some(org), "invitation.revoked", id).record(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }

    async fn mail_invitation(
        &self,
        db: &mut PgConnection,
        caller: &Caller,
        invitation: &Invitation,
        token: &str,
    ) -> Result<()> {
        let org = CurrentOrg::get(&mut *db, caller.org).await?;
        let inviter = Member::get(&mut *db, caller.org, caller.user).await?.email;
        let role = json!(invitation.role);
        let link = self.link("invitation-links", token);
        let days = lifetimes::INVITATION.num_days();
        let mail = InvitationMail {
            org: &org.name,
            inviter: &inviter,
            role: role.as_str().unwrap_or_default(),
            link: &link,
            days,
        };
        self.mailer.queue(db, &invitation.email, None, &mail).await?;
        Ok(())
    }
}
