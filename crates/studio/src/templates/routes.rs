use std::collections::BTreeMap;

use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Etag, IfMatch, Json, Page, PageQuery, Path, Query, Routes};

use super::{Template, TemplateVersion, template::TemplateInput};
use crate::{READ, Studio, WRITE};

pub(crate) fn routes() -> Routes<Studio> {
    let (read, write) = (Access::to(READ), Access::to(WRITE));
    Routes::new()
        .route(read, routes!(list_templates))
        .route(read, routes!(show_template))
        .route(read, routes!(list_template_versions))
        .route(write, routes!(create_template))
        .route(write, routes!(preview_template))
        .route(write, routes!(change_template, delete_template))
}

/// What to fill in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplatePreviewInput)]
struct PreviewInput {
    /// In which version; else in the newest.
    version: Option<i64>,
    /// By the names of the variables.
    #[serde(default)]
    #[schema(value_type = Object)]
    values: BTreeMap<String, Value>,
}

/// What a model would be told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplatePreview)]
struct Preview {
    version: i64,
    prompt: String,
}

/// List the org's templates, the newest first.
#[utoipa::path(get, path = "/v1/templates", tag = "studio", params(PageQuery),
    responses((status = 200, body = Page<Template>)))]
async fn list_templates(
    State(studio): State<Studio>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Template>>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    let templates = Template::list(&mut *tx, None, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, templates, |it| it.id)))
}

/// Create a template.
#[utoipa::path(post, path = "/v1/templates", tag = "studio", request_body = TemplateInput,
    responses((status = 201, body = Template)))]
async fn create_template(
    State(studio): State<Studio>,
    caller: Caller,
    Json(input): Json<TemplateInput>,
) -> web::Result<(StatusCode, Etag, Json<Template>)> {
    let input = input.checked()?;
    let mut tx = studio.db.tenant(caller.org).await?;
    let template = input.insert(&mut tx, caller.org, studio.clock.now()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Etag(template.version), Json(template)))
}

/// Show a template.
#[utoipa::path(get, path = "/v1/templates/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Template)))]
async fn show_template(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Template>>,
) -> web::Result<(Etag, Json<Template>)> {
    let mut tx = studio.db.tenant(caller.org).await?;
    let template = Template::get(&mut tx, id).await?;
    Ok((Etag(template.version), Json(template)))
}

/// Give a template another text, as a new version, if it is still the one named by `If-Match`.
#[utoipa::path(put, path = "/v1/templates/{id}", tag = "studio", request_body = TemplateInput,
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Template)))]
async fn change_template(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Template>>,
    if_match: IfMatch,
    Json(input): Json<TemplateInput>,
) -> web::Result<(Etag, Json<Template>)> {
    let input = input.checked()?;
    let mut tx = studio.db.tenant(caller.org).await?;
    if_match.check(Template::lock(&mut tx, id).await?.version)?;
    let template = input.replace(&mut tx, caller.org, id, studio.clock.now()).await?;
    tx.commit().await?;
    Ok((Etag(template.version), Json(template)))
}

/// Delete a template and its versions. What was made from it stays.
#[utoipa::path(delete, path = "/v1/templates/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn delete_template(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Template>>,
) -> web::Result<StatusCode> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Template::lock(&mut tx, id).await?;
    sqlx::query!("delete from templates where id = $1", id as _).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what a template said and says, the newest first.
#[utoipa::path(get, path = "/v1/templates/{id}/versions", tag = "studio",
    params(("id" = String, Path, format = Uuid), PageQuery),
    responses((status = 200, body = Page<TemplateVersion>)))]
async fn list_template_versions(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Template>>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<TemplateVersion>>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Template::get(&mut tx, id).await?;
    let rows = TemplateVersion::list(&mut *tx, id, query.position()?, query.rows()?).await?;
    Ok(Json(Page::ending_at(&query, rows, |it| it.version)))
}

/// Show what a model would be told. Nothing is asked, and nothing charged.
#[utoipa::path(post, path = "/v1/templates/{id}/previews", tag = "studio",
    params(("id" = String, Path, format = Uuid)), request_body = PreviewInput,
    responses((status = 200, body = Preview)))]
async fn preview_template(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Template>>,
    Json(input): Json<PreviewInput>,
) -> web::Result<Json<Preview>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    let template = TemplateVersion::get(&mut tx, id, input.version).await?;
    let prompt = template.fill(&input.values, "/values")?;
    Ok(Json(Preview { version: template.version, prompt }))
}
