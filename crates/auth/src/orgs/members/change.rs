use audit::{Entry, Origin};
use email::Notice;
use kernel::{Id, Org, User};
use serde_json::json;
use sqlx::PgConnection;
use web::{Caller, Role};

use super::Member;
use crate::{
    Auth, Result,
    orgs::{MembershipRefused, org::CurrentOrg, rules},
};

impl Auth {
    /// Makes `user` a `to` in the caller's org, or nothing; answers what they were, or are.
    pub(super) async fn change_member(
        &self,
        caller: &Caller,
        user: Id<User>,
        to: Option<Role>,
        origin: &Origin,
    ) -> Result<Member> {
        if user == caller.user {
            return Err(MembershipRefused::Oneself.into());
        }
        let (org, now) = (caller.org, self.clock.now());
        let mut tx = self.db.begin().await?;
        rules::lock(&mut tx, org).await?;
        let member = Member::get(&mut tx, org, user).await?;
        let by = rules::role(&mut tx, org, caller.user).await?;
        rules::check_change(by.ok_or(MembershipRefused::OwnersOnly)?, member.role, to)?;
        if member.role == Role::Owner && to != Some(Role::Owner) {
            rules::check_other_owner(&mut tx, org, user).await?;
        }
        let action = if let Some(role) = to {
            Member::set_role(&mut tx, org, user, role).await?;
            "member.role_changed"
        } else {
            Member::remove(&mut tx, org, user, now).await?;
            "member.removed"
        };
        let entry =
            Entry::new(origin, Some(org), action, user).before(json!({ "role": member.role }));
        let entry = if let Some(role) = to { entry.after(json!({ "role": role })) } else { entry };
        entry.record(&mut tx, now).await?;
        self.tell_of_change(&mut tx, org, &member, to).await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(Member { role: to.unwrap_or(member.role), ..member })
    }

    pub(super) async fn leave_org(&self, caller: &Caller, origin: &Origin) -> Result<()> {
        let (org, user, now) = (caller.org, caller.user, self.clock.now());
        let mut tx = self.db.begin().await?;
        rules::lock(&mut tx, org).await?;
        let role = rules::role(&mut tx, org, user).await?.ok_or(MembershipRefused::NotFound)?;
        if role == Role::Owner {
            rules::check_other_owner(&mut tx, org, user).await?;
        }
        Member::remove(&mut tx, org, user, now).await?;
        let entry = Entry::new(origin, Some(org), "member.left", user);
        entry.before(json!({ "role": role })).record(&mut tx, now).await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(())
    }

    async fn tell_of_change(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        member: &Member,
        to: Option<Role>,
    ) -> Result<()> {
        let org = CurrentOrg::get(&mut *db, org).await?;
        let org = email::harmless(&org.name);
        let what = match to {
            Some(role) => {
                format!("Your role in {org} is now: {}.", json!(role).as_str().unwrap_or_default())
            }
            None => format!(
                "You are no longer a member of {org}. API keys that you made there have stopped."
            ),
        };
        let notice = Notice {
            name: &member.name,
            subject: "Your membership has changed",
            paragraphs: &[what],
        };
        self.mailer.queue(db, &member.email, Some(member.user_id), &notice).await?;
        Ok(())
    }
}
