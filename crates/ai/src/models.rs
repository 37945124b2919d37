use axum::extract::State;
use serde::Serialize;
use usage::{Model, ModelKind};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Path, Permission, Problem, Routes};

use crate::{Ai, error::ApiResult};

const READ: Permission = Permission::read("ai:read");

pub(crate) fn routes() -> Routes<Ai> {
    Routes::new()
        .route(Access::to(READ), routes!(list_models))
        .route(Access::to(READ), routes!(retrieve_model))
}

/// A model that can be called, in `OpenAI`'s shape.
#[derive(Serialize, ToSchema)]
#[schema(as = Model)]
struct ModelObject {
    /// Its name.
    id: String,
    /// Always `model`.
    #[schema(example = "model")]
    object: &'static str,
    /// Since when its price is in force, in seconds since 1970.
    created: i64,
    /// Who serves it.
    owned_by: String,
    /// The model whose price it has: itself, or its family.
    priced_as: String,
    /// What it makes.
    kind: ModelKind,
    /// Credits that a standard generation draws, past what the plan includes.
    credits: i64,
}

/// Every model that can be called.
#[derive(Serialize, ToSchema)]
struct ModelList {
    /// Always `list`.
    #[schema(example = "list")]
    object: &'static str,
    /// The models.
    data: Vec<ModelObject>,
}

impl ModelObject {
    fn new(name: String, model: &Model) -> Self {
        Self {
            id: name,
            object: "model",
            created: model.price.effective_from.timestamp(),
            owned_by: model.provider.clone(),
            priced_as: model.priced_as.clone(),
            kind: model.kind,
            credits: model.price.credits,
        }
    }
}

/// The models that can be called: those with a price in force and a provider that is configured.
#[utoipa::path(get, path = "/v1/models", tag = "ai", responses((status = 200, body = ModelList)))]
async fn list_models(State(ai): State<Ai>) -> ApiResult<Json<ModelList>> {
    Ok(Json(ModelList { object: "list", data: callable(&ai).await? }))
}

/// One model.
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "ai",
    params(("model" = String, Path, description = "Its name; a slash in it is written as `%2F`")),
    responses((status = 200, body = ModelObject))
)]
async fn retrieve_model(
    State(ai): State<Ai>,
    Path(name): Path<String>,
) -> ApiResult<Json<ModelObject>> {
    let found = callable(&ai).await?.into_iter().find(|model| model.id == name);
    Ok(found
        .map(Json)
        .ok_or_else(|| Problem::not_found("unknown_model", "there is no such model"))?)
}

/// Every model by the name that it is called by: with its provider's, if another provider is asked
/// when the name stands alone.
async fn callable(ai: &Ai) -> Result<Vec<ModelObject>, Problem> {
    let models = ai.prices().models().await?;
    let providers = ai.providers();
    let offered = models.iter().filter(|model| providers.get(&model.provider).is_some());
    let named = offered.map(|model| {
        let alone = providers.find(&models, &model.name, model.kind) == Some(model);
        let full = || format!("{}/{}", model.provider, model.name);
        ModelObject::new(if alone { model.name.clone() } else { full() }, model)
    });
    Ok(named.collect())
}
