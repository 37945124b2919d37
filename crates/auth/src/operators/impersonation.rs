//! Standing in for a customer, to see what they see: for a reason, for a quarter of an hour, and
//! written down request by request where the customer can read it.

use audit::{Actor, Entry, Origin};
use axum::{
    extract::{MatchedPath, State},
    http::{StatusCode, request::Parts},
};
use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use quotas::Entitlement;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;
use web::{
    Access, Caller, ClientIp, Credential, Json, Operator, Path, Problem, RequestId, Role, Routes,
};

use super::account::Account;
use crate::{
    Auth, Error, Result,
    accounts::user,
    callers::{invalid_token, org_suspended},
    lifetimes,
    orgs::org::Membership,
    secrets::secret,
};

const PREFIX: &str = "sloi_";

pub(super) fn routes() -> Routes<Auth> {
    Routes::new()
        .route(Access::operators(), routes!(impersonate))
        .route(Access::operators(), routes!(end_impersonation))
}

/// Whether `text` can be the token of an impersonation.
pub(crate) fn is_impersonation(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == 43 && rest.is_ascii())
}

/// For whom to stand in, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewImpersonation {
    #[schema(value_type = String, format = Uuid)]
    user_id: Id<User>,
    /// In which of their orgs; absent: where signing in leads them.
    #[schema(value_type = Option<String>, format = Uuid)]
    org_id: Option<Id<Org>>,
    /// Why. The org can read it.
    #[schema(min_length = 1, max_length = 500, example = "Ticket 4711: the invoice page is empty")]
    reason: String,
    /// Six digits from your authenticator, or a recovery code.
    #[schema(value_type = String, example = "123456")]
    code: SecretString,
}

/// What to stand in with.
#[derive(Serialize, ToSchema)]
struct Impersonation {
    #[schema(value_type = String, format = Uuid)]
    id: Uuid,
    /// Sent as `Authorization: Bearer …`.
    #[schema(pattern = "^sloi_[0-9A-Za-z_-]{43}$")]
    token: String,
    /// When it ends by itself.
    expires_at: DateTime<Utc>,
    #[schema(value_type = String, format = Uuid)]
    user_id: Id<User>,
    #[schema(value_type = String, format = Uuid)]
    org_id: Id<Org>,
}

/// Stand in for a customer for a quarter of an hour. You see what they see and can work as a member,
/// but change no credentials, people, payments or rules. Each request is in the org's audit log.
#[utoipa::path(post, path = "/admin/v1/impersonations", tag = "operators", request_body = NewImpersonation,
    responses((status = 201, body = Impersonation)))]
async fn impersonate(
    State(auth): State<Auth>,
    operator: Operator,
    origin: Origin,
    Json(new): Json<NewImpersonation>,
) -> web::Result<(StatusCode, Json<Impersonation>)> {
    Ok((StatusCode::CREATED, Json(auth.impersonate(operator, new, &origin).await?)))
}

/// Stop standing in for a customer before the time is over.
#[utoipa::path(delete, path = "/admin/v1/impersonations/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The token has stopped working")))]
async fn end_impersonation(
    State(auth): State<Auth>,
    origin: Origin,
    Path(id): Path<Uuid>,
) -> web::Result<StatusCode> {
    auth.end_impersonation(id, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An impersonation that holds.
struct Holding {
    id: Uuid,
    operator: Id<Operator>,
    user: Id<User>,
    org: Id<Org>,
    role: Role,
    suspended: bool,
}

impl Auth {
    async fn impersonate(
        &self,
        operator: Operator,
        new: NewImpersonation,
        origin: &Origin,
    ) -> Result<Impersonation> {
        let (reason, now) = (new.reason.trim(), self.clock.now());
        if !(1..=500).contains(&reason.chars().count()) {
            return Err(Problem::invalid_field("/reason", "must be 1 to 500 characters").into());
        }
        self.limit_operator_codes(operator.id).await?;
        let mut tx = self.db.begin().await?;
        let account = Account::lock(&mut tx, operator.id).await?.ok_or(Error::InvalidFactors)?;
        let code = new.code.expose_secret().trim();
        if !self.second_factor_holds(&mut tx, &account, code, now).await? {
            return Err(Error::InvalidCode);
        }
        let (user, org) = (new.user_id, new.org_id);
        let found = user::User::get(&mut *tx, user).await?;
        let found = found.filter(|user| user.disabled_at.is_none());
        let place = match org {
            Some(org) => Membership::active(&mut *tx, user, org).await?,
            None => Membership::first_of(&mut *tx, user).await?,
        };
        let (Some(_), Some(place)) = (found, place) else {
            let detail = "there is no such active person in such an organization";
            return Err(Problem::not_found("user_not_found", detail).into());
        };
        let token = format!("{PREFIX}{}", secret::random());
        let made = Impersonation {
            id: Uuid::now_v7(),
            token,
            expires_at: now + lifetimes::IMPERSONATION,
            user_id: user,
            org_id: place.org,
        };
        sqlx::query!(
            "insert into impersonations
                 (id, operator_id, user_id, org_id, reason, hash, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            made.id,
            operator.id as _,
            user as _,
            place.org as _,
            reason,
            &secret::hash(&made.token),
            now,
            made.expires_at,
        )
        .execute(&mut *tx)
        .await?;
        Entry::new(origin, Some(place.org), "impersonation.started", made.id)
            .after(json!({ "user": user, "reason": reason, "expires_at": made.expires_at }))
            .record(&mut tx, now)
            .await?;
        tx.commit().await?;
        Ok(made)
    }

    async fn end_impersonation(&self, id: Uuid, origin: &Origin) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let ended = sqlx::query_scalar!(
            r#"update impersonations set ended_at = $2
               where id = $1 and ended_at is null and expires_at > $2
               returning org_id as "org: Id<Org>""#,
            id,
            now,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(org) = ended else {
            let detail = "there is no such impersonation under way";
            return Err(Problem::not_found("impersonation_not_found", detail).into());
        };
        Entry::new(origin, Some(org), "impersonation.ended", id).record(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }

    /// Whom a token stands in for, if it holds: nothing of it is remembered between requests. The
    /// request is written down before anything is done.
    pub(crate) async fn impersonated(&self, token: &str, request: &Parts) -> web::Result<Caller> {
        let (ip, hash) = (request.extensions.get::<ClientIp>().copied(), secret::hash(token));
        self.held_tokens.may_be_looked_for(&hash, ip).await?;
        let held = self.find_impersonation(&hash).await.map_err(Problem::unavailable)?;
        let held = held.ok_or_else(invalid_token)?;
        self.held_tokens.note(hash).await;
        let Holding { id, operator, user, org, role, suspended } = held;
        if suspended {
            return Err(org_suspended());
        }
        let path = request.extensions.get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
        let request_id = request.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
        let actor = Actor::Impersonator { operator, user };
        let origin = Origin { actor, ip: ip.map(|ip| ip.0), request_id };
        let subject = format!("{} {path}", request.method);
        let entry = Entry::new(&origin, Some(org), "impersonation.request", subject);
        let mut db = self.db.pool().acquire().await?;
        entry.after(json!({ "impersonation": id })).record(&mut db, self.clock.now()).await?;
        let entitlement = Entitlement::of(&mut *db, org).await?;
        let tier = entitlement.map(|entitlement| entitlement.tier).unwrap_or_default();
        let credential = Credential::Impersonation { session: id, operator };
        Ok(Caller { user, org, role, tier, credential })
    }

    async fn find_impersonation(&self, hash: &[u8]) -> sqlx::Result<Option<Holding>> {
        sqlx::query_as!(
            Holding,
            r#"select i.id, i.operator_id as "operator: _", i.user_id as "user: _", i.org_id as "org: _",
                      m.role as "role: _", o.suspended_at is not null as "suspended!"
               from impersonations i
               join operators p on p.id = i.operator_id and p.disabled_at is null
               join users u on u.id = i.user_id and u.disabled_at is null
               join memberships m on m.org_id = i.org_id and m.user_id = i.user_id
               join orgs o on o.id = i.org_id
               where i.hash = $1 and i.ended_at is null and i.expires_at > $2"#,
            hash,
            self.clock.now(),
        )
        .fetch_optional(self.db.pool())
        .await
    }
}

/// Ends those of an operator who is let go; without that they would hold again if the operator came
/// back soon.
pub(super) async fn end_all(
    db: &mut PgConnection,
    operator: Id<Operator>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update impersonations set ended_at = $2
         where operator_id = $1 and ended_at is null and expires_at > $2",
        operator as _,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}
