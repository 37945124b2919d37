use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kernel::Id;
use org_jobs::{By, OrgJob};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{Caller, Problem};

use super::{creation::Creation, make::Make};
use crate::{
    Studio,
    personas::Persona,
    preferences::Preferences,
    templates::{Template, TemplateVersion},
    text,
};

/// The longest brief, in characters.
const LONGEST: usize = 20_000;

/// What is to be made: one creation of each item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreationsInput {
    /// The model, or the name of a route; else the one that you prefer.
    #[schema(example = "gpt-4o-mini")]
    model: Option<String>,
    /// The most tokens of a result.
    #[serde(default = "CreationsInput::usual_length")]
    #[schema(minimum = 1, maximum = 16_000, default = 1000)]
    max_tokens: i32,
    /// As whom the model writes.
    #[schema(value_type = Option<String>, format = Uuid)]
    persona_id: Option<Id<Persona>>,
    /// A template that makes a brief of each item's values.
    #[schema(value_type = Option<String>, format = Uuid)]
    template_id: Option<Id<Template>>,
    /// Its version; else the newest.
    template_version: Option<i64>,
    /// What it is made for, to budgets and in reports of usage.
    project_id: Option<Uuid>,
    /// What each is about.
    #[schema(min_items = 1, max_items = 100, example = json!([{ "brief": "A slogan for a boat" }]))]
    items: Vec<ItemInput>,
}

/// What one is about: a brief, or values for the template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreationInput)]
struct ItemInput {
    /// In your words.
    #[schema(max_length = 20_000)]
    brief: Option<String>,
    /// By the names of the template's variables.
    #[schema(value_type = Option<Object>)]
    values: Option<BTreeMap<String, Value>>,
}

/// Creations that were ordered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderedCreations)]
pub(crate) struct Ordered {
    /// What makes them.
    pub(crate) job: OrgJob,
    /// In the order of the items.
    #[schema(value_type = Vec<String>)]
    pub(crate) creations: Vec<Id<Creation>>,
}

impl CreationsInput {
    fn usual_length() -> i32 {
        1000
    }

    fn check(&self) -> Result<(), Problem> {
        if !(1..=100).contains(&self.items.len()) {
            return Err(Problem::invalid_field("/items", "must be 1 to 100"));
        }
        if !(1..=16_000).contains(&self.max_tokens) {
            return Err(Problem::invalid_field("/max_tokens", "must be between 1 and 16000"));
        }
        match &self.model {
            Some(model) => text::in_one_line(model, "/model").map(drop),
            None => Ok(()),
        }
    }

    async fn template(&self, db: &mut PgConnection) -> web::Result<Option<TemplateVersion>> {
        match self.template_id {
            Some(id) => TemplateVersion::get(db, id, self.template_version).await.map(Some),
            None => Ok(None),
        }
    }

    /// What each item is about, in words.
    fn briefs(&self, template: Option<&TemplateVersion>) -> Result<Vec<String>, Problem> {
        let brief = |(at, item): (usize, &ItemInput)| {
            let field = |name: &str| format!("/items/{at}/{name}");
            match (template, item) {
                (None, ItemInput { brief: Some(brief), values: None }) => {
                    text::check(brief, LONGEST, &field("brief"))?;
                    Ok(brief.clone())
                }
                (Some(template), ItemInput { brief: None, values: Some(values) }) => {
                    template.fill(values, &field("values"))
                }
                (None, _) => Err(Problem::invalid_field(&field("brief"), "must be given, alone")),
                (Some(_), _) => {
                    let detail = "must be given, and no brief: the template makes it of them";
                    Err(Problem::invalid_field(&field("values"), detail))
                }
            }
        };
        self.items.iter().enumerate().map(brief).collect()
    }
}

impl Studio {
    /// Orders creations: all of them, or none.
    pub(super) async fn order(
        &self,
        caller: &Caller,
        input: CreationsInput,
    ) -> web::Result<Ordered> {
        input.check()?;
        let preferences = Preferences::of(self.db.pool(), caller.user).await?;
        let mut tenant = self.db.tenant(caller.org).await?;
        let template = input.template(&mut tenant).await?;
        let persona = match input.persona_id {
            Some(id) => Some(Persona::get(&mut *tenant, id).await?),
            None => None,
        };
        drop(tenant);
        let briefs = input.briefs(template.as_ref())?;
        let model = input.model.or(preferences.default_model.clone()).ok_or_else(|| {
            Problem::invalid_field("/model", "must be given, since you prefer none")
        })?;
        let order = Order {
            creations: briefs.iter().map(|_| Id::new()).collect(),
            briefs,
            model,
            max_tokens: input.max_tokens,
            instructions: preferences.instructions(persona.as_ref()),
            project_id: input.project_id,
            template: template.and_then(|it| Some((input.template_id?, it.version))),
        };
        let items: Vec<_> = order.creations.iter().map(|id| Make { creation: *id }).collect();
        let mut tx = self.db.begin().await?;
        let job = self.jobs.queue(&mut tx, By::from(caller), &items).await?;
        order.insert(&mut tx, caller, job.id, self.clock.now()).await?;
        tx.commit().await?;
        Ok(Ordered { job, creations: order.creations })
    }
}

/// An order that is complete.
struct Order {
    creations: Vec<Id<Creation>>,
    briefs: Vec<String>,
    model: String,
    max_tokens: i32,
    instructions: String,
    project_id: Option<Uuid>,
    template: Option<(Id<Template>, i64)>,
}

impl Order {
    async fn insert(
        &self,
        db: &mut PgConnection,
        by: &Caller,
        job: Id<OrgJob>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let ids: Vec<Uuid> = self.creations.iter().map(|id| id.uuid()).collect();
        sqlx::query!(
            "insert into creations
                 (id, org_id, user_id, job_id, position, project_id, template_id, template_version,
                  model, max_tokens, instructions, brief, created_at, updated_at)
             select id, $3, $4, $5, position - 1, $6, $7, $8, $9, $10, $11, brief, $12, $12
             from unnest($1::uuid[], $2::text[]) with ordinality as it (id, brief, position)",
            &ids,
            &self.briefs,
            by.org as _,
            by.user as _,
            job as _,
            self.project_id,
            self.template.map(|(id, _)| id) as _,
            self.template.map(|(_, version)| version),
            self.model,
            self.max_tokens,
            self.instructions,
            now,
        )
        .execute(&mut *db)
        .await?;
        sqlx::query!(
            "insert into creation_steps (creation_id, step, org_id)
             select id, step, $2 from unnest($1::uuid[]) id, unnest(array['plan', 'result']) step",
            &ids,
            by.org as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
