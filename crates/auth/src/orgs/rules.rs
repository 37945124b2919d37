//! What must hold of an org's people, whatever happens at once.

use kernel::{Id, Org, User};
use sqlx::PgConnection;
use web::Role;

use super::MembershipRefused;
use crate::Result;

/// Holds everybody else who would change the people of `org` until the transaction ends. Rows that
/// only refer to the org are written meanwhile as ever.
pub(super) async fn lock(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
    sqlx::query_scalar!("select 1 as one from orgs where id = $1 for no key update", org as _)
        .fetch_optional(db)
        .await?;
    Ok(())
}

/// What `user` is in `org` now, whatever the token of a request says.
pub(super) async fn role(
    db: &mut PgConnection,
    org: Id<Org>,
    user: Id<User>,
) -> sqlx::Result<Option<Role>> {
    sqlx::query_scalar!(
        r#"select role as "role: Role" from memberships where org_id = $1 and user_id = $2"#,
        org as _,
        user as _,
    )
    .fetch_optional(db)
    .await
}

/// Whether somebody with the role `by` may make a `from` a `to`, or remove them.
pub(super) fn check_change(by: Role, from: Role, to: Option<Role>) -> Result<()> {
    let about_owners = from == Role::Owner || to == Some(Role::Owner);
    match by {
        Role::Owner => Ok(()),
        Role::Admin if !about_owners => Ok(()),
        _ => Err(MembershipRefused::OwnersOnly.into()),
    }
}

/// Refuses to take away the last owner. The caller holds the [`lock`].
pub(super) async fn check_other_owner(
    db: &mut PgConnection,
    org: Id<Org>,
    user: Id<User>,
) -> Result<()> {
    let other = sqlx::query_scalar!(
        r#"select exists (select from memberships
                          where org_id = $1 and user_id <> $2 and role = 'owner') as "other!""#,
        org as _,
        user as _,
    )
    .fetch_one(db)
    .await?;
    if other { Ok(()) } else { Err(MembershipRefused::LastOwner.into()) }
}

#[cfg(test)]
mod tests {
    use web::Role::{Admin, Billing, Member, Owner, Viewer};

    use super::check_change;

    #[test]
    fn admins_change_everybody_but_owners_and_make_nobody_one() {
        for (from, to) in [(Member, Some(Admin)), (Admin, Some(Viewer)), (Billing, None)] {
            assert!(check_change(Admin, from, to).is_ok());
            assert!(check_change(Owner, from, to).is_ok());
        }
        for (from, to) in [(Owner, Some(Member)), (Owner, None), (Member, Some(Owner))] {
            assert!(check_change(Admin, from, to).is_err(), "{from:?} to {to:?}");
            assert!(check_change(Owner, from, to).is_ok());
        }
        assert!(check_change(Member, Viewer, None).is_err(), "no longer an admin");
    }
}
