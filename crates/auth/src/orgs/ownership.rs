//! Handing an org over: the owner offers, the other one accepts, and then they change places.

use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use email::Notice;
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Problem, Role, Routes};

use super::{MembershipRefused, founding, members::Member, org::CurrentOrg, rules};
use crate::{Auth, Result, lifetimes};

const READ: Permission = Permission::read("ownership:read");
const OFFER: Permission =
    Permission { name: "ownership:offer", roles: &[Role::Owner], keys: false };
const ANSWER: Permission = Permission { name: "ownership:answer", roles: &Role::ALL, keys: false };

pub(super) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::to(READ), routes!(show_transfer))
        .route(Access::to(OFFER).after_recent_sign_in(), routes!(offer_ownership))
        .route(Access::to(ANSWER), routes!(withdraw_transfer))
        .route(Access::to(ANSWER).after_recent_sign_in(), routes!(accept_ownership))
}

/// An offer of ownership that was not accepted yet.
#[derive(Serialize, ToSchema)]
#[schema(as = OwnershipTransfer)]
struct Transfer {
    #[schema(value_type = String, format = Uuid)]
    from_user_id: Id<User>,
    #[schema(value_type = String, format = Uuid)]
    to_user_id: Id<User>,
    created_at: DateTime<Utc>,
    /// When it lapses.
    expires_at: DateTime<Utc>,
}

/// To whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferInput {
    /// Somebody in the org.
    #[schema(value_type = String, format = Uuid)]
    to_user_id: Id<User>,
}

impl Transfer {
    async fn find(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select from_user as "from_user_id: _", to_user as "to_user_id: _", created_at, expires_at
               from ownership_transfers
               where org_id = $1 and expires_at > $2"#,
            org as _,
            now,
        )
        .fetch_optional(db)
        .await
    }

    async fn put(&self, db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into ownership_transfers (org_id, from_user, to_user, created_at, expires_at)
             values ($1, $2, $3, $4, $5)
             on conflict (org_id) do update
             set from_user = excluded.from_user, to_user = excluded.to_user,
                 created_at = excluded.created_at, expires_at = excluded.expires_at",
            org as _,
            self.from_user_id as _,
            self.to_user_id as _,
            self.created_at,
            self.expires_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    async fn end(db: &mut PgConnection, org: Id<Org>) -> sqlx::Result<()> {
        sqlx::query!("delete from ownership_transfers where org_id = $1", org as _)
            .execute(db)
            .await?;
        Ok(())
    }
}

fn none() -> Problem {
    Problem::not_found("no_transfer", "no transfer of ownership is under way")
}

/// Show the offer of ownership that is open.
#[utoipa::path(get, path = "/v1/ownership-transfer", tag = "organizations",
    responses((status = 200, body = Transfer)))]
async fn show_transfer(State(auth): State<Auth>, caller: Caller) -> web::Result<Json<Transfer>> {
    let mut tx = auth.db.tenant(caller.org).await?;
    let found = Transfer::find(&mut *tx, caller.org, auth.clock.now()).await?;
    found.map(Json).ok_or_else(none)
}

/// Offer the ownership to somebody in the org, instead of any offer before. Nothing changes until
/// they accept; then they are an owner, and you an admin.
#[utoipa::path(put, path = "/v1/ownership-transfer", tag = "organizations", request_body = TransferInput,
    responses((status = 200, body = Transfer)))]
async fn offer_ownership(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<TransferInput>,
) -> web::Result<Json<Transfer>> {
    Ok(Json(auth.offer_ownership(&caller, input.to_user_id, &origin).await?))
}

/// Withdraw the offer, or decline it.
#[utoipa::path(delete, path = "/v1/ownership-transfer", tag = "organizations",
    responses((status = 204, description = "The ownership stays where it is")))]
async fn withdraw_transfer(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
) -> web::Result<StatusCode> {
    let now = auth.clock.now();
    let mut tx = auth.db.begin().await?;
    rules::lock(&mut tx, caller.org).await?;
    let offer = Transfer::find(&mut *tx, caller.org, now).await?.ok_or_else(none)?;
    let concerned = [offer.from_user_id, offer.to_user_id].contains(&caller.user);
    if !concerned && rules::role(&mut tx, caller.org, caller.user).await? != Some(Role::Owner) {
        return Err(none());
    }
    Transfer::end(&mut tx, caller.org).await?;
    let entry = Entry::new(&origin, Some(caller.org), "ownership.withdrawn", offer.to_user_id);
    entry.record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept the ownership that was offered to you.
#[utoipa::path(post, path = "/v1/ownership-transfer/acceptance", tag = "organizations",
    responses((status = 204, description = "You are an owner now")))]
async fn accept_ownership(
    State(auth): State<Auth>,
    caller: Caller,
    origin: Origin,
) -> web::Result<StatusCode> {
    auth.accept_ownership(&caller, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Auth {
    async fn offer_ownership(
        &self,
        caller: &Caller,
        to: Id<User>,
        origin: &Origin,
    ) -> Result<Transfer> {
        let (org, now) = (caller.org, self.clock.now());
        if to == caller.user {
            return Err(MembershipRefused::Oneself.into());
        }
        let mut tx = self.db.begin().await?;
        rules::lock(&mut tx, org).await?;
        if rules::role(&mut tx, org, caller.user).await? != Some(Role::Owner) {
            return Err(MembershipRefused::OwnersOnly.into());
        }
        let member = Member::get(&mut tx, org, to).await?;
        let offer = Transfer {
            from_user_id: caller.user,
            to_user_id: to,
            created_at: now,
            expires_at: now + lifetimes::OWNERSHIP_OFFER,
        };
        offer.put(&mut tx, org).await?;
        Entry::new(origin, Some(org), "ownership.offered", to).record(&mut tx, now).await?;
        let name = CurrentOrg::get(&mut *tx, org).await?.name;
        let text = format!(
            "You are offered the ownership of {}. Sign in to accept or decline it within {} days.",
            email::harmless(&name),
            lifetimes::OWNERSHIP_OFFER.num_days(),
        );
        let notice = Notice {
            name: &member.name,
            subject: "You are offered an ownership",
            paragraphs: &[text],
        };
        self.mailer.queue(&mut tx, &member.email, Some(to), &notice).await?;
        tx.commit().await?;
        Ok(offer)
    }

    async fn accept_ownership(&self, caller: &Caller, origin: &Origin) -> Result<()> {
        let (org, user, now) = (caller.org, caller.user, self.clock.now());
        let mut tx = self.db.begin().await?;
        rules::lock(&mut tx, org).await?;
        let offer = Transfer::find(&mut *tx, org, now).await?;
        let offer = offer.filter(|offer| offer.to_user_id == user).ok_or_else(none)?;
        // Who offered it may have stopped being able to.
        if rules::role(&mut tx, org, offer.from_user_id).await? != Some(Role::Owner) {
            return Err(none().into());
        }
        founding::check_may_own(&mut tx, org, user).await?;
        Member::set_role(&mut tx, org, user, Role::Owner).await?;
        Member::set_role(&mut tx, org, offer.from_user_id, Role::Admin).await?;
        Transfer::end(&mut tx, org).await?;
        Entry::new(origin, Some(org), "ownership.transferred", user)
            .before(json!({ "owner": offer.from_user_id }))
            .after(json!({ "owner": user }))
            .record(&mut tx, now)
            .await?;
        tx.commit().await?;
        for changed in [user, offer.from_user_id] {
            self.db.changes().note(changed);
        }
        Ok(())
    }
}
