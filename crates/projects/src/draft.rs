use ai::{Payer, Prompt};
use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use kernel::Id;
use org_jobs::{By, OrgJob, Progress, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Path, Problem, RateClass, Routes};

use crate::{Project, Projects, routes::WRITE};

/// Whom a model writes for.
pub(crate) const WRITER: Prompt = Prompt {
    name: "projects.draft",
    variables: &["project"],
    text: "You write for the project {{project}}.",
};

/// The longest text of one draft.
const MOST_TOKENS: u32 = 500;

pub(crate) fn routes() -> Routes<Projects> {
    Routes::new()
        .route(Access::to(WRITE).limited_as(RateClass::Render), routes!(write_project_drafts))
}

/// A text that a model writes for a project: one item of a job, charged for itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Draft {
    project: Id<Project>,
    model: String,
    brief: String,
}

impl Work for Draft {
    const KIND: &'static str = "projects.drafts";
    const AT_ONCE: usize = 2;
    // Each time would be charged.
    const REPEATABLE: bool = false;
    type Context = Projects;

    async fn run(self, by: By, progress: Progress, projects: Projects) -> Result<Value, Problem> {
        let project = {
            let mut tx = projects.db.tenant(by.org).await?;
            Project::get(&mut *tx, self.project).await?
        };
        progress.report(0, &format!("writing for {}", project.name)).await?;
        let writer = WRITER.fill(projects.db.pool(), &[("project", &project.name)]).await?;
        let request = json!({
            "model": self.model,
            "max_tokens": MOST_TOKENS,
            "messages": [
                { "role": "system", "content": writer },
                { "role": "user", "content": self.brief },
            ],
        });
        let spent_on = Some(self.project.uuid());
        let payer = Payer { org: by.org, user: by.user, api_key: by.api_key, spent_on };
        let answer = projects.ai.chat(payer, &request).await?;
        Ok(json!({ "text": answer["choices"][0]["message"]["content"] }))
    }
}

/// What is to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectDraftsInput {
    /// The model, or the name of a route.
    #[schema(example = "gpt-4o-mini")]
    model: String,
    /// What each draft is about.
    #[schema(min_items = 1, max_items = 100, example = json!(["A slogan", "A first paragraph"]))]
    briefs: Vec<String>,
}

/// Have drafts written, each from its brief and charged for itself. Answers a job, whose items they are.
#[utoipa::path(post, path = "/v1/projects/{id}/drafts", tag = "projects", request_body = ProjectDraftsInput,
    params(("id" = String, Path, format = Uuid)), responses((status = 202, body = OrgJob)))]
async fn write_project_drafts(
    State(projects): State<Projects>,
    caller: Caller,
    Path(id): Path<Id<Project>>,
    Json(input): Json<ProjectDraftsInput>,
) -> web::Result<(StatusCode, [(HeaderName, String); 1], Json<OrgJob>)> {
    if !(1..=100).contains(&input.briefs.len()) {
        return Err(Problem::invalid_field("/briefs", "must be 1 to 100"));
    }
    let mut tenant = projects.db.tenant(caller.org).await?;
    let project = Project::get(&mut *tenant, id).await?.id;
    drop(tenant);
    let draft = |brief| Draft { project, model: input.model.clone(), brief };
    let drafts: Vec<_> = input.briefs.into_iter().map(draft).collect();
    let mut tx = projects.db.begin().await?;
    let job = projects.jobs.queue(&mut tx, By::from(&caller), &drafts).await?;
    tx.commit().await?;
    let location = [(header::LOCATION, format!("/v1/jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(job)))
}
