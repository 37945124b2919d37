//! Which of their orgs somebody acts in: the one that a request names, else the session's.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use kernel::{Id, Org};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;
use web::{Access, Caller, Credential, Json, Permission, Problem, Role, Routes};

use crate::{
    Auth, Session,
    orgs::{org::Membership, rules},
};

const HEADER: &str = "x-slipway-org";
const SWITCH: Permission = Permission { name: "sessions:switch", roles: &Role::ALL, keys: false };

pub(super) fn routes() -> Routes<Auth> {
    Routes::new().route(Access::to(SWITCH).even_in_a_suspended_org(), routes!(switch_org))
}

/// The org that the headers of a request name, if they do.
pub(crate) fn requested_org(headers: &HeaderMap) -> web::Result<Option<Id<Org>>> {
    let mut named = headers.get_all(HEADER).iter();
    let Some(first) = named.next() else { return Ok(None) };
    let id = first.to_str().ok().and_then(|id| id.parse::<Uuid>().ok());
    match (id, named.next()) {
        (Some(id), None) => Ok(Some(Id::from(id))),
        _ => Err(Problem::bad_request(
            "invalid_org",
            "X-Slipway-Org is not the id of one organization",
        )),
    }
}

/// The same answer whether there is no such org or one is not in it.
pub(crate) fn not_a_member() -> Problem {
    Problem::not_found("org_not_found", "you belong to no such organization")
        .action("See GET /v1/orgs for those that you belong to.")
}

/// Where to act from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchInput {
    #[schema(value_type = String, format = Uuid)]
    org_id: Id<Org>,
}

/// Act in another org from now on, wherever a request of this session does not name one itself.
#[utoipa::path(put, path = "/v1/sessions/current/org", tag = "organizations", request_body = SwitchInput,
    responses((status = 204, description = "The session acts in that org")))]
async fn switch_org(
    State(auth): State<Auth>,
    caller: Caller,
    Json(input): Json<SwitchInput>,
) -> web::Result<StatusCode> {
    let Credential::Session(session) = caller.credential else { return Err(not_a_member()) };
    let session = Id::<Session>::from(session);
    let mut tx = auth.db.begin().await?;
    // Who is being removed at the same time must not end up in the org they leave.
    rules::lock(&mut tx, input.org_id).await?;
    Membership::active(&mut *tx, caller.user, input.org_id).await?.ok_or_else(not_a_member)?;
    sqlx::query!("update sessions set org_id = $2 where id = $1", session as _, input.org_id as _)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    auth.db.changes().note(session);
    Ok(StatusCode::NO_CONTENT)
}
