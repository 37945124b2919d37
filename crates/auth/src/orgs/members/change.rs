use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use email::Notice;
use kernel::{Id, Org, User};
use serde_json::json;
use sqlx::PgConnection;
use web::{Caller, Role};

use super::Member;
use crate::{
    Auth, Result, Session,
    accounts::user,
    orgs::{
        MembershipRefused, founding,
        org::{CurrentOrg, Membership},
        rules,
    },
    webhook_events::MemberRemoved,
};

impl Auth {
    /// Makes `user` a `to` in the caller's org; answers what they are then.
    pub(super) async fn change_member(
        &self,
        caller: &Caller,
        user: Id<User>,
        to: Role,
        origin: &Origin,
    ) -> Result<Member> {
        let (org, now) = (caller.org, self.clock.now());
        let mut tx = self.db.begin().await?;
        let member = changeable(&mut tx, caller, user, Some(to)).await?;
        if member.role == to {
            return Ok(member);
        }
        if to == Role::Owner {
            founding::check_may_own(&mut tx, org, user).await?;
        }
        Member::set_role(&mut tx, org, user, to).await?;
        Entry::new(origin, Some(org), "member.role_changed", user)
            .before(json!({ "role": member.role }))
            .after(json!({ "role": to }))
            .record(&mut tx, now)
            .await?;
        let name = CurrentOrg::get(&mut *tx, org).await?.name;
        let role = json!(to);
        let what = format!(
            "Your role in {} is now: {}.",
            email::harmless(&name),
            role.as_str().unwrap_or_default()
        );
        self.tell_of_change(&mut tx, &member, what).await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(Member { role: to, ..member })
    }

    /// Takes somebody out of the caller's org.
    pub(super) async fn remove_member(
        &self,
        caller: &Caller,
        user: Id<User>,
        origin: &Origin,
    ) -> Result<()> {
        let (org, now) = (caller.org, self.clock.now());
        let mut tx = self.db.begin().await?;
        let member = changeable(&mut tx, caller, user, None).await?;
        Member::remove(&mut tx, org, user, now).await?;
        Entry::new(origin, Some(org), "member.removed", user)
            .before(json!({ "role": member.role }))
            .record(&mut tx, now)
            .await?;
        let event = MemberRemoved { user_id: user, role: member.role, left: false };
        webhooks::emit(&mut tx, org, &event, now).await?;
        self.go_on_elsewhere(&mut tx, org, &member, now).await?;
        let name = CurrentOrg::get(&mut *tx, org).await?.name;
        let what = format!(
            "You are no longer a member of {}. API keys that you made there have stopped.",
            email::harmless(&name)
        );
        self.tell_of_change(&mut tx, &member, what).await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(())
    }

    pub(super) async fn leave_org(&self, caller: &Caller, origin: &Origin) -> Result<()> {
        let (org, user, now) = (caller.org, caller.user, self.clock.now());
        let mut tx = self.db.begin().await?;
        rules::lock(&mut tx, org).await?;
        let member = Member::get(&mut tx, org, user).await?;
        if member.role == Role::Owner {
            rules::check_other_owner(&mut tx, org, user).await?;
        }
        member.leave(&mut tx, org, origin, now).await?;
        self.go_on_elsewhere(&mut tx, org, &member, now).await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(())
    }

    /// The sessions of somebody who is no longer in `org` go on in another org of theirs. Who has none
    /// gets one for themselves, as at the beginning: an account without an org could do nothing.
    pub(in crate::orgs) async fn go_on_elsewhere(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        member: &Member,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let user = member.user_id;
        // Two orgs may let the same person go at once.
        user::User::lock(&mut *db, user).await?;
        let home = if let Some(home) = Membership::first_of(&mut *db, user).await? {
            home.org
        } else {
            let home = self.found_personal_org(&mut *db, user, &member.name, now).await?;
            let entry = Entry::new(&Origin::SYSTEM, Some(home), "org.created", home);
            entry.record(&mut *db, now).await?;
            home
        };
        Session::move_all(db, user, org, home).await?;
        Ok(())
    }

    async fn tell_of_change(
        &self,
        db: &mut PgConnection,
        member: &Member,
        what: String,
    ) -> sqlx::Result<()> {
        let notice = Notice {
            name: &member.name,
            subject: "Your membership has changed",
            paragraphs: &[what],
        };
        self.mailer.queue(db, &member.email, Some(member.user_id), &notice).await?;
        Ok(())
    }
}

/// Somebody whom the caller may make a `to`, or remove. Nobody else changes the org's people until the
/// transaction ends.
async fn changeable(
    db: &mut PgConnection,
    caller: &Caller,
    user: Id<User>,
    to: Option<Role>,
) -> Result<Member> {
    if user == caller.user {
        return Err(MembershipRefused::Oneself.into());
    }
    let org = caller.org;
    rules::lock(db, org).await?;
    let member = Member::get(db, org, user).await?;
    let by = rules::role(db, org, caller.user).await?;
    rules::check_change(by.ok_or(MembershipRefused::OwnersOnly)?, member.role, to)?;
    if member.role == Role::Owner && to != Some(Role::Owner) {
        rules::check_other_owner(db, org, user).await?;
    }
    Ok(member)
}
