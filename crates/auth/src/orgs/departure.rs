//! What the erasure of a person or of an org begins with: nobody gets in any more.

use audit::Origin;
use email::Notice;
use kernel::{Id, Org, User};
use sqlx::PgConnection;
use web::{Caller, Role};

use super::{MembershipRefused, members::Member, org::CurrentOrg, rules};
use crate::{
    Auth, Error, Result,
    accounts::ending::{Ended, Ending},
    sessions::session_of,
};

impl Auth {
    /// Orgs of which `user` is the only owner although others belong to them.
    pub async fn orgs_owned_alone(
        db: &mut PgConnection,
        user: Id<User>,
    ) -> sqlx::Result<Vec<Id<Org>>> {
        sqlx::query_scalar!(
            r#"select m.org_id as "org: _"
               from memberships m
               where m.user_id = $1 and m.role = 'owner'
                 and exists (select from memberships o where o.org_id = m.org_id and o.user_id <> $1)
                 and not exists (select from memberships o
                                 where o.org_id = m.org_id and o.user_id <> $1 and o.role = 'owner')
               order by 1"#,
            user as _,
        )
        .fetch_all(db)
        .await
    }

    /// Ends every session of `user` but the one in which it is asked for, and every API key. Call [`Auth::forget`]
    /// after the commit.
    pub async fn end_access(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
        asking: Option<&Caller>,
    ) -> sqlx::Result<Ended> {
        let ending = Ending { but_session: asking.and_then(session_of), api_keys: true };
        Ended::all_of(db, user, ending, self.clock.now()).await
    }

    /// Closes an account for good and takes its person out of every org, for their erasure. Answers the orgs in
    /// which nobody is left; refuses if one with others would have no owner. Again, it only finds what was under
    /// way the last time.
    pub async fn withdraw(
        &self,
        db: &mut PgConnection,
        user: Id<User>,
    ) -> Result<(Vec<Id<Org>>, Ended)> {
        let now = self.clock.now();
        let orgs = sqlx::query_scalar!(
            r#"select org_id as "org: Id<Org>" from memberships where user_id = $1 order by 1"#,
            user as _,
        )
        .fetch_all(&mut *db)
        .await?;
        let mut left = vec![];
        for org in orgs {
            rules::lock(db, org).await?;
            let member = match Member::get(db, org, user).await {
                // Somebody else took them out a moment ago.
                Err(Error::Membership(MembershipRefused::NotFound)) => continue,
                member => member?,
            };
            if others(db, org, user).await? == 0 {
                left.push(org);
            } else if member.role == Role::Owner {
                rules::check_other_owner(db, org, user).await?;
            }
            member.leave(db, org, &Origin::SYSTEM, now).await?;
        }
        sqlx::query!(
            "update users set disabled_at = coalesce(disabled_at, $2) where id = $1",
            user as _,
            now,
        )
        .execute(&mut *db)
        .await?;
        let ended = self.end_access(db, user, None).await?;
        Ok((left, ended))
    }

    /// Takes everybody out of `org`, for its erasure. They go on in another org of theirs. Note the change of each
    /// of them after the commit. Again, it only finds who joined since.
    pub async fn dissolve(&self, db: &mut PgConnection, org: Id<Org>) -> Result<Vec<Id<User>>> {
        let now = self.clock.now();
        rules::lock(db, org).await?;
        let name = CurrentOrg::get(&mut *db, org).await?.name;
        let users = sqlx::query_scalar!(
            r#"select user_id as "user: Id<User>" from memberships where org_id = $1 order by 1"#,
            org as _,
        )
        .fetch_all(&mut *db)
        .await?;
        for user in &users {
            let member = Member::get(db, org, *user).await?;
            Member::remove(db, org, *user, now).await?;
            self.go_on_elsewhere(db, org, &member, now).await?;
            let text = format!("{} was deleted, with all that was in it.", email::harmless(&name));
            let notice = Notice {
                name: &member.name,
                subject: "An organization of yours was deleted",
                paragraphs: &[text],
            };
            self.mailer.queue(&mut *db, &member.email, Some(*user), &notice).await?;
        }
        // Of those who left before.
        sqlx::query!("delete from ownership_transfers where org_id = $1", org as _)
            .execute(db)
            .await?;
        Ok(users)
    }
}

async fn others(db: &mut PgConnection, org: Id<Org>, user: Id<User>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from memberships where org_id = $1 and user_id <> $2"#,
        org as _,
        user as _,
    )
    .fetch_one(db)
    .await
}
