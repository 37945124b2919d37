use audit::{Actor, Entry, Origin};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, Org, User};
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{
    Access, Caller, ClientIp, Credential, Identity, Json, Path, Problem, RateClass, Role, Routes,
    WantsPage,
};

use super::invitation::Invitation;
use crate::{
    Auth, Error, Result,
    accounts::user,
    orgs::{Seats, rules},
    pages::{AcceptInvitation, Message, page},
    secrets::secret,
    webhook_events::MemberJoined,
};

pub(super) fn routes() -> Routes<Auth> {
    let public = Access::public().limited_as(RateClass::Auth);
    Routes::new().route(public, routes!(show_invitation, accept_invitation))
}

/// Where somebody belongs from now on.
#[derive(Debug, Serialize, ToSchema)]
struct Joined {
    #[schema(value_type = String, format = Uuid)]
    org_id: Id<Org>,
    role: Role,
}

/// The page behind the link in the mail. It changes nothing and does not tell whether the link works.
#[utoipa::path(get, path = "/v1/invitation-links/{token}", tag = "organizations",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_invitation(State(auth): State<Auth>, _: Path<String>) -> Response {
    let title = "Accept the invitation";
    page(StatusCode::OK, &AcceptInvitation { product: auth.mailer.product(), title })
}

/// Accept an invitation, for the account with the address that the link was sent to. A link works
/// once. Whoever is signed in must be that account.
#[utoipa::path(post, path = "/v1/invitation-links/{token}", tag = "organizations",
    params(("token" = String, Path)),
    responses((status = 200, body = Joined, description = "A page, to browsers")))]
async fn accept_invitation(
    State(auth): State<Auth>,
    Path(token): Path<String>,
    ip: ClientIp,
    identity: Option<Extension<Identity>>,
    WantsPage(wants_page): WantsPage,
) -> web::Result<Response> {
    let signed_in = match identity {
        Some(Extension(Identity::Known(Caller {
            user,
            credential: Credential::Session(_),
            ..
        }))) => Some(user),
        _ => None,
    };
    let accepted = auth.accept_invitation(&token, signed_in, ip).await.map_err(Problem::from);
    let show = |title: &str, text: &str, status| {
        page(status, &Message { product: auth.mailer.product(), title, text })
    };
    match accepted {
        Ok(_) if wants_page => {
            Ok(show("You are in", "Sign in to see the organization.", StatusCode::OK))
        }
        Ok(joined) => Ok(Json(joined).into_response()),
        Err(problem) if wants_page && problem.status.is_client_error() => {
            let action = problem.body(None)["action"].as_str().unwrap_or_default().to_owned();
            let text = format!("{}. {action}", problem.detail);
            Ok(show("This did not work", &text, problem.status))
        }
        Err(problem) => Err(problem),
    }
}

/// An invitation that a link is for.
struct Open {
    id: Id<Invitation>,
    org: Id<Org>,
    email: EmailAddress,
    role: Role,
}

impl Auth {
    async fn accept_invitation(
        &self,
        token: &str,
        signed_in: Option<Id<User>>,
        ip: ClientIp,
    ) -> Result<Joined> {
        self.limit_links(ip).await?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let invitation = lock(&mut tx, token, now).await?.ok_or(Error::InvalidLink)?;
        let user = self.invited_user(&mut tx, &invitation, signed_in).await?;
        let org = invitation.org;
        rules::lock(&mut tx, org).await?;
        // Who is in already stays what they are.
        let role = if let Some(role) = rules::role(&mut tx, org, user).await? {
            role
        } else {
            Seats::lock(&mut tx, org).await?.check()?;
            join(&mut tx, &invitation, user, now).await?;
            invitation.role
        };
        sqlx::query!(
            "update invitations set accepted_at = $2 where id = $1",
            invitation.id as _,
            now
        )
        .execute(&mut *tx)
        .await?;
        let origin = Origin { actor: Actor::User(user), ip: Some(ip.0), request_id: None };
        Entry::new(&origin, Some(org), "invitation.accepted", invitation.id)
            .after(json!({ "user": user, "role": role }))
            .record(&mut tx, now)
            .await?;
        tx.commit().await?;
        self.db.changes().note(user);
        Ok(Joined { org_id: org, role })
    }

    /// Whoever has the link has read the mail, so the account with its address is theirs. Being
    /// signed in as somebody else is a mistake to be told.
    async fn invited_user(
        &self,
        db: &mut PgConnection,
        invitation: &Open,
        signed_in: Option<Id<User>>,
    ) -> Result<Id<User>> {
        let user = user::User::by_email(db, &invitation.email).await?;
        let user =
            user.filter(|user| user.email_verified_at.is_some() && user.disabled_at.is_none());
        match (user, signed_in) {
            (Some(user), None) => Ok(user.id),
            (Some(user), Some(caller)) if user.id == caller => Ok(user.id),
            (_, Some(_)) => {
                let detail = "the invitation is for somebody with another address";
                Err(Problem::forbidden(detail)
                    .action("Sign in with the address that it was sent to.")
                    .into())
            }
            (None, None) => {
                let detail = "there is no account with the address that the invitation was sent to";
                Err(Problem::conflict("account_needed", detail)
                    .action("Register with that address, with the end of this link as invite_code if one is needed, and open the link again.")
                    .into())
            }
        }
    }
}

/// Whether a token of that `hash` is from a link that was sent to `email` and can be accepted.
pub(crate) async fn is_open(
    db: impl PgExecutor<'_>,
    hash: &[u8; 32],
    email: &EmailAddress,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
               select from invitations i
               join orgs o on o.id = i.org_id and o.suspended_at is null
               where i.hash = $1 and lower(i.email) = $2 and i.accepted_at is null
                 and i.revoked_at is null and i.expires_at > $3) as "open!""#,
        hash.as_slice(),
        email as _,
        now,
    )
    .fetch_one(db)
    .await
}

async fn lock(
    db: &mut PgConnection,
    token: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Open>> {
    sqlx::query_as!(
        Open,
        r#"select i.id as "id: _", i.org_id as "org: _", i.email as "email: _", i.role as "role: _"
           from invitations i
           join orgs o on o.id = i.org_id and o.suspended_at is null
           where i.hash = $1 and i.accepted_at is null and i.revoked_at is null and i.expires_at > $2
           for update of i"#,
        &secret::hash(token),
        now,
    )
    .fetch_optional(db)
    .await
}

async fn join(
    db: &mut PgConnection,
    invitation: &Open,
    user: Id<User>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into memberships (org_id, user_id, role, created_at) values ($1, $2, $3, $4)",
        invitation.org as _,
        user as _,
        invitation.role as _,
        now,
    )
    .execute(&mut *db)
    .await?;
    let event = MemberJoined { user_id: user, role: invitation.role };
    webhooks::emit(db, invitation.org, &event, now).await
}
