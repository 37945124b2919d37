use chrono::{DateTime, Datelike, Utc};
use db::Db;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, QueryBuilder};
use usage::spent_on;
use utoipa::{IntoParams, ToSchema};
use web::{Page, PageQuery};

use crate::{
    Project, Result,
    name::in_one_line,
    search::{self, Found},
};

/// Which projects to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProjectsQuery {
    /// Words that the name or the text has, the last of which may be half written.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only those in this folder.
    folder: Option<String>,
    /// Whether they are in use.
    #[serde(default)]
    #[param(inline)]
    state: State,
    /// By what they are ordered.
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// In which direction; names upwards and times downwards unless given.
    #[param(inline)]
    order: Option<Order>,
    /// Items per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    #[default]
    Active,
    Archived,
    Deleted,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Name,
    #[default]
    CreatedAt,
    UpdatedAt,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    Asc,
    Desc,
}

/// Where a page ends.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    sorted_by: Key,
    id: Id<Project>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Key {
    Name(String),
    CreatedAt(DateTime<Utc>),
    UpdatedAt(DateTime<Utc>),
}

/// A project in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedProject {
    #[serde(flatten)]
    project: Project,
    /// How many AI calls were made for it.
    calls: i64,
    /// What they cost so far, in billionths of a dollar.
    cost_nano_usd: i64,
}

/// Where projects are put.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectFolder {
    /// What it is called.
    name: String,
    /// How many are in it and in use.
    projects: i64,
}

impl ProjectsQuery {
    fn page(&self) -> PageQuery {
        PageQuery { limit: self.limit, cursor: self.cursor.clone() }
    }

    /// The query for what comes after the cursor, of those that have the words.
    fn select(&self, found: Found) -> web::Result<QueryBuilder<sqlx::Postgres>> {
        let mut sql = QueryBuilder::new(
            "select id, name, left(text, 200) as text, folder, cover_id, archived_at, deleted_at,
                    version, created_at, updated_at
             from projects where ",
        );
        sql.push(match self.state {
            State::Active => "deleted_at is null and archived_at is null",
            State::Archived => "deleted_at is null and archived_at is not null",
            State::Deleted => "deleted_at is not null",
        });
        match found {
            Found::Everything => {}
            Found::Few(ids) => {
                sql.push(" and id = any(").push_bind(ids).push(")");
            }
            Found::Many(words) => {
                sql.push(" and search @@ to_tsquery('simple', ").push_bind(words).push(")");
            }
        }
        if let Some(folder) = &self.folder {
            sql.push(" and folder = ").push_bind(in_one_line(folder, "/folder")?);
        }
        let (key, order) = match self.sort {
            Sort::Name => ("name_key", Order::Asc),
            Sort::CreatedAt => ("created_at", Order::Desc),
            Sort::UpdatedAt => ("updated_at", Order::Desc),
        };
        let (follows, order) = match self.order.unwrap_or(order) {
            Order::Asc => (">", "asc"),
            Order::Desc => ("<", "desc"),
        };
        if let Some(Position { sorted_by, id }) = self.page().position()? {
            sql.push(format!(" and ({key}, id) {follows} ("));
            match (self.sort, sorted_by) {
                (Sort::Name, Key::Name(name)) if !name.contains('\0') => {
                    sql.push("lower(").push_bind(name).push(")")
                }
                (Sort::CreatedAt, Key::CreatedAt(time))
                | (Sort::UpdatedAt, Key::UpdatedAt(time))
                    if (0..10_000).contains(&time.year()) =>
                {
                    sql.push_bind(time)
                }
                _ => return Err(PageQuery::invalid_cursor()),
            };
            sql.push(", ").push_bind(id).push(")");
        }
        sql.push(format!(" order by {key} {order}, id {order} limit "));
        sql.push_bind(self.page().rows()?);
        Ok(sql)
    }
}

impl ListedProject {
    /// A page of projects of `org`, each with what was spent on it: a query for both and one for words, however many
    /// they are.
    pub(crate) async fn page(
        db: &Db,
        org: Id<Org>,
        query: &ProjectsQuery,
    ) -> web::Result<Page<Self>> {
        let found = search::find(db, org, query.q.as_deref()).await?;
        let mut select = query.select(found)?;
        let mut tx = db.tenant(org).await?;
        let projects: Vec<Project> = select.build_query_as().fetch_all(&mut *tx).await?;
        let ids: Vec<_> = projects.iter().map(|it| it.id.uuid()).collect();
        let spent = spent_on(&mut *tx, &ids).await?;
        let listed = projects.into_iter().map(|project| {
            let spent = spent.get(&project.id.uuid()).copied().unwrap_or_default();
            Self { project, calls: spent.calls, cost_nano_usd: spent.cost_nano_usd }
        });
        let position = |Self { project, .. }: &Self| {
            let sorted_by = match query.sort {
                Sort::Name => Key::Name(project.name.clone()),
                Sort::CreatedAt => Key::CreatedAt(project.created_at),
                Sort::UpdatedAt => Key::UpdatedAt(project.updated_at),
            };
            Position { sorted_by, id: project.id }
        };
        Ok(Page::ending_at(&query.page(), listed.collect(), position))
    }
}

impl ProjectFolder {
    /// The first thousand, by name.
    pub(crate) async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Self>> {
        let folders = sqlx::query_as!(
            Self,
            r#"select folder as "name!", count(*) as "projects!"
               from projects
               where folder is not null and deleted_at is null and archived_at is null
               group by folder
               order by folder
               limit 1000"#,
        );
        Ok(folders.fetch_all(db).await?)
    }
}
