use std::collections::{BTreeMap, HashSet};

use ai::places;
use chrono::{DateTime, Utc};
use db::violated_constraint;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;
use web::Problem;

use super::variable::{Variable, fill_in};
use crate::text;

/// The longest text, in characters.
const LONGEST: usize = 20_000;

/// A prompt that an org has ready. Every change makes a version of it; earlier ones stay.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Template {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Template>,
    /// Unique in its org, whatever the case of its letters.
    pub(crate) name: String,
    /// The newest version; the `ETag` of the template.
    pub(crate) version: i64,
    /// What it says, with `{{name}}` for each variable.
    pub(crate) text: String,
    /// What is filled in.
    #[schema(value_type = Vec<Variable>)]
    pub(crate) variables: Json<Vec<Variable>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// What a template said, or says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateVersion {
    pub(crate) version: i64,
    pub(crate) text: String,
    #[schema(value_type = Vec<Variable>)]
    pub(crate) variables: Json<Vec<Variable>>,
    pub(crate) created_at: DateTime<Utc>,
}

/// What a template is to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateInput {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, example = "Slogan")]
    name: String,
    /// What it says, with `{{name}}` for each variable.
    #[schema(min_length = 1, max_length = 20_000, example = "A slogan for {{product}}.")]
    text: String,
    /// What is filled in: every one of them, and nothing else.
    #[serde(default)]
    #[schema(max_items = 50)]
    variables: Vec<Variable>,
}

impl TemplateInput {
    /// Refuses one that cannot be filled in.
    pub(crate) fn checked(mut self) -> Result<Self, Problem> {
        self.name = text::in_one_line(&self.name, "/name")?;
        text::check(&self.text, LONGEST, "/text")?;
        if self.variables.len() > 50 {
            return Err(Problem::invalid_field("/variables", "must be at most 50"));
        }
        let places: HashSet<&str> = places(&self.text).collect();
        let mut known = HashSet::new();
        for (at, variable) in self.variables.iter().enumerate() {
            let field = format!("/variables/{at}");
            variable.check(&field)?;
            if !known.insert(variable.name()) {
                return Err(Problem::invalid_field(&field, "another one has this name"));
            }
            if !places.contains(variable.name()) {
                let detail = format!("the text has no {{{{{}}}}}", variable.name());
                return Err(Problem::invalid_field(&field, detail));
            }
        }
        if let Some(unknown) = places.iter().find(|it| !known.contains(*it)) {
            let detail = format!("no variable is called {unknown:?}");
            return Err(Problem::invalid_field("/text", detail));
        }
        Ok(self)
    }

    /// Keeps it as a new template.
    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> web::Result<Template> {
        let id = Id::<Template>::new();
        let inserted = sqlx::query!(
            "insert into templates (id, org_id, name, version, created_at, updated_at)
             values ($1, $2, $3, 0, $4, $4)",
            id as _,
            org as _,
            self.name,
            now,
        );
        inserted.execute(&mut *db).await.map_err(name_taken)?;
        self.replace(db, org, id, now).await
    }

    /// Keeps it as the next version of a template that is locked.
    pub(crate) async fn replace(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        id: Id<Template>,
        now: DateTime<Utc>,
    ) -> web::Result<Template> {
        let version = sqlx::query_scalar!(
            "update templates set name = $2, version = version + 1, updated_at = $3
             where id = $1 returning version",
            id as _,
            self.name,
            now,
        );
        let version = version.fetch_one(&mut *db).await.map_err(name_taken)?;
        sqlx::query!(
            "insert into template_versions (template_id, version, org_id, text, variables, created_at)
             values ($1, $2, $3, $4, $5, $6)",
            id as _,
            version,
            org as _,
            self.text,
            Json(&self.variables) as _,
            now,
        )
        .execute(&mut *db)
        .await?;
        Template::get(db, id).await
    }
}

impl Template {
    /// Up to `rows` of the org whose transaction this is, the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        id: Option<Id<Self>>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select t.id as "id: _", t.name, t.version, v.text,
                      v.variables as "variables: Json<Vec<Variable>>", t.created_at, t.updated_at
               from templates t
               join template_versions v on v.template_id = t.id and v.version = t.version
               where ($1::uuid is null or t.id = $1) and ($2::uuid is null or t.id < $2)
               order by t.id desc
               limit $3"#,
            id as _,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    pub(crate) async fn get(db: &mut PgConnection, id: Id<Self>) -> web::Result<Self> {
        Self::list(db, Some(id), None, 1).await?.pop().ok_or_else(not_found)
    }

    /// The template `id`, which nobody else can change until the transaction ends.
    pub(crate) async fn lock(db: &mut PgConnection, id: Id<Self>) -> web::Result<Self> {
        sqlx::query!("select from templates where id = $1 for update", id as _)
            .execute(&mut *db)
            .await?;
        Self::get(db, id).await
    }
}

impl TemplateVersion {
    /// Those of a template, the newest first, from the one before `before`.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        template: Id<Template>,
        before: Option<i64>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select version, text, variables as "variables: Json<Vec<Variable>>", created_at
               from template_versions
               where template_id = $1 and ($2::bigint is null or version < $2)
               order by version desc
               limit $3"#,
            template as _,
            before,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of a template; the newest unless it is named.
    pub(crate) async fn get(
        db: &mut PgConnection,
        template: Id<Template>,
        version: Option<i64>,
    ) -> web::Result<Self> {
        let newest = Template::get(db, template).await?.version;
        let version = version.unwrap_or(newest);
        let at_most = Self::list(db, template, version.checked_add(1), 1).await?;
        at_most.into_iter().find(|it| it.version == version).ok_or_else(|| {
            Problem::not_found("template_version_not_found", "the template has no such version")
        })
    }

    /// The prompt that comes of it.
    pub(crate) fn fill(
        &self,
        values: &BTreeMap<String, Value>,
        field: &str,
    ) -> Result<String, Problem> {
        fill_in(&self.text, &self.variables, values, field)
    }
}

fn not_found() -> Problem {
    Problem::not_found("template_not_found", "there is no such template")
        .action("List the templates to see which there are.")
}

fn name_taken(error: sqlx::Error) -> Problem {
    match violated_constraint(&error) {
        Some("template_name_taken") => {
            Problem::conflict("template_name_taken", "another template has this name")
                .action("Pick another name.")
        }
        _ => error.into(),
    }
}
