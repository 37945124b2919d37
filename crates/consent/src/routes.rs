use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, ClientIp, Json, Path, Permission, Role, Routes};

use crate::{Consent, Policy, PolicyKind, Purpose, acceptance::MyPolicy, decision::Decision};

const READ: Permission = Permission::read("consents:read").people_only();
const WRITE: Permission = Permission { name: "consents:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Consent> {
    Routes::new()
        .route(Access::public(), routes!(list_policies))
        .route(Access::public(), routes!(show_policy))
        .route(mine(READ), routes!(list_my_policies))
        .route(mine(WRITE), routes!(accept_policy))
        .route(mine(READ), routes!(list_consents))
        .route(mine(WRITE), routes!(decide_consent))
        .route(Access::operators(), routes!(publish_policy))
}

/// It concerns the person, whatever becomes of their org.
fn mine(permission: Permission) -> Access {
    Access::to(permission).even_in_a_suspended_org()
}

/// A new version of a policy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PolicyInput {
    kind: PolicyKind,
    /// Markdown.
    #[schema(min_length = 1, max_length = 200_000)]
    text: String,
}

/// What is accepted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptanceInput {
    #[schema(value_type = String, format = Uuid)]
    policy_id: Id<Policy>,
}

/// What is decided.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DecisionInput {
    granted: bool,
}

/// Show the policies that count now: the newest version of each.
#[utoipa::path(get, path = "/v1/policies", tag = "privacy", responses((status = 200, body = Vec<Policy>)))]
async fn list_policies(State(consent): State<Consent>) -> web::Result<Json<Vec<Policy>>> {
    Ok(Json(Policy::current(consent.db.pool()).await?))
}

/// Show a version of a policy, also one that counts no more.
#[utoipa::path(get, path = "/v1/policies/{id}", tag = "privacy",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Policy)))]
async fn show_policy(
    State(consent): State<Consent>,
    Path(id): Path<Id<Policy>>,
) -> web::Result<Json<Policy>> {
    Ok(Json(Policy::get(consent.db.pool(), id).await?))
}

/// List the policies that count now, and which of them you have accepted.
#[utoipa::path(get, path = "/v1/me/policies", tag = "privacy",
    responses((status = 200, body = Vec<MyPolicy>)))]
async fn list_my_policies(
    State(consent): State<Consent>,
    caller: Caller,
) -> web::Result<Json<Vec<MyPolicy>>> {
    Ok(Json(MyPolicy::list(consent.db.pool(), caller.user).await?))
}

/// Accept a version of a policy that counts now.
#[utoipa::path(post, path = "/v1/me/policy-acceptances", tag = "privacy",
    request_body = AcceptanceInput, responses((status = 201, body = Vec<MyPolicy>)))]
async fn accept_policy(
    State(consent): State<Consent>,
    caller: Caller,
    ip: ClientIp,
    origin: Origin,
    Json(input): Json<AcceptanceInput>,
) -> web::Result<(StatusCode, Json<Vec<MyPolicy>>)> {
    let accepted = consent.accept(caller.user, input.policy_id, ip.0, &origin).await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}

/// List what you have decided about uses of your data, the newest first: the first of each purpose
/// counts. A use that you never decided about is not allowed.
#[utoipa::path(get, path = "/v1/me/consents", tag = "privacy",
    responses((status = 200, body = Vec<Decision>)))]
async fn list_consents(
    State(consent): State<Consent>,
    caller: Caller,
) -> web::Result<Json<Vec<Decision>>> {
    Ok(Json(Decision::list(consent.db.pool(), caller.user).await?))
}

/// Allow a use of your data, or refuse it from now on.
#[utoipa::path(put, path = "/v1/me/consents/{purpose}", tag = "privacy",
    params(("purpose" = Purpose, Path)), request_body = DecisionInput,
    responses((status = 200, body = Vec<Decision>)))]
async fn decide_consent(
    State(consent): State<Consent>,
    caller: Caller,
    origin: Origin,
    Path(purpose): Path<Purpose>,
    Json(input): Json<DecisionInput>,
) -> web::Result<Json<Vec<Decision>>> {
    let decision = (purpose, input.granted);
    Ok(Json(consent.decide(caller.user, decision, &origin).await?))
}

/// Publish a new version of a policy. Everybody is asked to accept it.
#[utoipa::path(post, path = "/admin/v1/policies", tag = "operators", request_body = PolicyInput,
    responses((status = 201, body = Policy)))]
async fn publish_policy(
    State(consent): State<Consent>,
    origin: Origin,
    Json(input): Json<PolicyInput>,
) -> web::Result<(StatusCode, Json<Policy>)> {
    let policy = consent.publish(input.kind, input.text, &origin).await?;
    Ok((StatusCode::CREATED, Json(policy)))
}
