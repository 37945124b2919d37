use ai::{Prompt, PromptVersion};
use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Etag, IfMatch, Json, Path, Problem, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_prompts))
        .route(Access::operators(), routes!(list_prompt_versions))
        .route(Access::operators(), routes!(set_prompt, reset_prompt))
}

/// What a model is told.
#[derive(Serialize, ToSchema)]
struct PromptInForce {
    #[schema(example = "projects.draft")]
    name: &'static str,
    /// What can be filled in, written `{{name}}`.
    variables: &'static [&'static str],
    /// In force unless another was chosen.
    built_in: &'static str,
    /// The text that was chosen last; absent: it was never changed.
    changed: Option<PromptVersion>,
}

/// A text to be put in force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PromptInput {
    #[schema(
        min_length = 1,
        max_length = 20_000,
        example = "You write for the project {{project}}."
    )]
    text: String,
}

/// List what models are told by the product, and what was chosen in its place.
#[utoipa::path(get, path = "/admin/v1/prompts", tag = "operators",
    responses((status = 200, body = Vec<PromptInForce>)))]
async fn list_prompts(State(admin): State<Admin>) -> web::Result<Json<Vec<PromptInForce>>> {
    let mut all = Vec::new();
    for &Prompt { name, variables, text: built_in } in &*admin.prompts {
        let changed = PromptVersion::newest(admin.db.pool(), name).await?;
        all.push(PromptInForce { name, variables, built_in, changed });
    }
    Ok(Json(all))
}

/// List every text that was chosen for a prompt, the newest first.
#[utoipa::path(get, path = "/admin/v1/prompts/{name}/versions", tag = "operators",
    params(("name" = String, Path)), responses((status = 200, body = Vec<PromptVersion>)))]
async fn list_prompt_versions(
    State(admin): State<Admin>,
    Path(name): Path<String>,
) -> web::Result<Json<Vec<PromptVersion>>> {
    let prompt = find(&admin, &name)?;
    Ok(Json(PromptVersion::history(admin.db.pool(), prompt.name).await?))
}

/// Put a text in force for a prompt, as a new version, from the next call on.
#[utoipa::path(put, path = "/admin/v1/prompts/{name}", tag = "operators", request_body = PromptInput,
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = PromptVersion)))]
async fn set_prompt(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    origin: Origin,
    if_match: IfMatch,
    Json(input): Json<PromptInput>,
) -> web::Result<(Etag, Json<PromptVersion>)> {
    let prompt = find(&admin, &name)?;
    prompt.check(&input.text)?;
    let made = change(&admin, &prompt, Some(&input.text), if_match, &origin).await?;
    Ok((Etag(made.version.into()), Json(made)))
}

/// Put the text that is built in in force again. Earlier versions are kept.
#[utoipa::path(delete, path = "/admin/v1/prompts/{name}", tag = "operators",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "The text in the code is in force")))]
async fn reset_prompt(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    origin: Origin,
    if_match: IfMatch,
) -> web::Result<StatusCode> {
    change(&admin, &find(&admin, &name)?, None, if_match, &origin).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find(admin: &Admin, name: &str) -> web::Result<Prompt> {
    let found = admin.prompts.iter().copied().find(|prompt| prompt.name == name);
    found.ok_or_else(|| {
        Problem::not_found("prompt_not_found", "there is no such prompt")
            .action("See GET /admin/v1/prompts.")
    })
}

async fn change(
    admin: &Admin,
    prompt: &Prompt,
    text: Option<&str>,
    if_match: IfMatch,
    origin: &Origin,
) -> web::Result<PromptVersion> {
    let now = admin.clock.now();
    let mut tx = admin.db.begin().await?;
    let made = PromptVersion::set(&mut tx, prompt, text, if_match, now).await?;
    let entry = Entry::new(origin, None, "prompt.changed", prompt.name);
    entry.after(json!({ "version": made.version })).record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(made)
}
