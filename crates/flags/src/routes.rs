use std::collections::BTreeMap;

use audit::Origin;
use axum::{extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Permission, Routes};

use crate::{Flag, Flags, flag::FlagRule};

const READ: Permission = Permission::read("flags:read");

pub(crate) fn routes() -> Routes<Flags> {
    Routes::new()
        .route(Access::to(READ), routes!(list_my_flags))
        .route(Access::operators(), routes!(list_flags))
        .route(Access::operators(), routes!(set_flag, remove_flag))
}

/// Which features are on.
#[derive(Serialize, ToSchema)]
struct MyFlags {
    /// Each flag by its key.
    flags: BTreeMap<String, bool>,
}

/// Show which features are on for your organization.
#[utoipa::path(get, path = "/v1/flags", tag = "flags", responses((status = 200, body = MyFlags)))]
async fn list_my_flags(State(flags): State<Flags>, caller: Caller) -> web::Result<Json<MyFlags>> {
    let all = flags.all().await?;
    let on = all.iter().map(|it| (it.key.clone(), it.is_on(caller.org, caller.tier)));
    Ok(Json(MyFlags { flags: on.collect() }))
}

/// List flags, and for whom each is on.
#[utoipa::path(get, path = "/admin/v1/flags", tag = "operators",
    responses((status = 200, body = Vec<Flag>)))]
async fn list_flags(State(flags): State<Flags>) -> web::Result<Json<Vec<Flag>>> {
    Ok(Json(Flag::list(flags.db.pool()).await?))
}

/// Make a flag, or say anew for whom it is on. Every instance knows within a second.
#[utoipa::path(put, path = "/admin/v1/flags/{key}", tag = "operators",
    params(("key" = String, Path)), request_body = FlagRule,
    responses((status = 200, body = Flag)))]
async fn set_flag(
    State(flags): State<Flags>,
    Path(key): Path<String>,
    origin: Origin,
    Json(rule): Json<FlagRule>,
) -> web::Result<Json<Flag>> {
    Ok(Json(flags.set(&key, rule, &origin).await?))
}

/// Remove a flag. The feature is off for everybody.
#[utoipa::path(delete, path = "/admin/v1/flags/{key}", tag = "operators",
    params(("key" = String, Path)), responses((status = 204)))]
async fn remove_flag(
    State(flags): State<Flags>,
    Path(key): Path<String>,
    origin: Origin,
) -> web::Result<StatusCode> {
    flags.remove(&key, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}
