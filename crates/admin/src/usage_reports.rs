use axum::{extract::State, response::Response};
use kernel::{Id, Org};
use usage::{Report, ReportQuery};
use utoipa_axum::routes;
use web::{Access, Path, Query, Routes};

use crate::{Admin, orgs::Summary};

pub(crate) fn routes() -> Routes<Admin> {
    let operators = Access::operators();
    Routes::new().route(operators, routes!(platform_usage)).route(operators, routes!(org_usage))
}

/// What all orgs together used, by model, provider or operation. Days begin in UTC unless `tz` says otherwise.
#[utoipa::path(get, path = "/admin/v1/usage", tag = "operators", params(ReportQuery),
    responses((status = 200, content((Report = "application/json"), (String = "text/csv")))))]
async fn platform_usage(
    State(admin): State<Admin>,
    Query(query): Query<ReportQuery>,
) -> web::Result<Response> {
    let mut db = admin.db.pool().acquire().await?;
    Report::of_platform(&mut db, &query, admin.clock.now()).await?.respond(query.format)
}

/// What an org used, as its own people see it.
#[utoipa::path(get, path = "/admin/v1/orgs/{id}/usage", tag = "operators",
    params(("id" = String, Path, format = Uuid), ReportQuery), responses((status = 200, content((Report = "application/json"), (String = "text/csv")))))]
async fn org_usage(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    Query(query): Query<ReportQuery>,
) -> web::Result<Response> {
    Summary::get(admin.db.pool(), id).await?;
    let mut tx = admin.db.tenant(id).await?;
    Report::of(&mut tx, id, &query, admin.clock.now()).await?.respond(query.format)
}
