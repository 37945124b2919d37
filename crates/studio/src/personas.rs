//! As whom models write for an org.

use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use db::violated_constraint;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Etag, IfMatch, Json, Page, PageQuery, Path, Problem, Query, Routes};

use crate::{READ, Studio, WRITE, text};

pub(crate) fn routes() -> Routes<Studio> {
    let (read, write) = (Access::to(READ), Access::to(WRITE));
    Routes::new()
        .route(read, routes!(list_personas))
        .route(read, routes!(show_persona))
        .route(write, routes!(create_persona))
        .route(write, routes!(change_persona, delete_persona))
}

/// As whom a model writes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Persona {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Persona>,
    /// Unique in its org, whatever the case of its letters.
    pub(crate) name: String,
    /// What the model is told about itself.
    pub(crate) text: String,
    /// Grows with every change; the `ETag` of the persona.
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// What a persona is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonaInput {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, example = "Captain")]
    name: String,
    /// What the model is told about itself.
    #[schema(
        min_length = 1,
        max_length = 8000,
        example = "You are an old captain. You are brief."
    )]
    text: String,
}

impl PersonaInput {
    fn checked(mut self) -> Result<Self, Problem> {
        self.name = text::in_one_line(&self.name, "/name")?;
        text::check(&self.text, 8000, "/text")?;
        Ok(self)
    }
}

impl Persona {
    async fn list(
        db: impl PgExecutor<'_>,
        id: Option<Id<Self>>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, text, version, created_at, updated_at
               from personas
               where ($1::uuid is null or id = $1) and ($2::uuid is null or id < $2)
               order by id desc
               limit $3"#,
            id as _,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of the org whose transaction this is.
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> web::Result<Self> {
        Self::list(db, Some(id), None, 1).await?.pop().ok_or_else(|| {
            Problem::not_found("persona_not_found", "there is no such persona")
                .action("List the personas to see which there are.")
        })
    }

    async fn insert(&self, db: &mut PgConnection, org: Id<Org>) -> web::Result<()> {
        let inserted = sqlx::query!(
            "insert into personas (id, org_id, name, text, version, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $6)",
            self.id as _,
            org as _,
            self.name,
            self.text,
            self.version,
            self.created_at,
        );
        inserted.execute(db).await.map_err(name_taken)?;
        Ok(())
    }
}

fn name_taken(error: sqlx::Error) -> Problem {
    match violated_constraint(&error) {
        Some("persona_name_taken") => {
            Problem::conflict("persona_name_taken", "another persona has this name")
                .action("Pick another name.")
        }
        _ => error.into(),
    }
}

/// List the org's personas, the newest first.
#[utoipa::path(get, path = "/v1/personas", tag = "studio", params(PageQuery),
    responses((status = 200, body = Page<Persona>)))]
async fn list_personas(
    State(studio): State<Studio>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Persona>>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    let personas = Persona::list(&mut *tx, None, query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, personas, |it| it.id)))
}

/// Create a persona.
#[utoipa::path(post, path = "/v1/personas", tag = "studio", request_body = PersonaInput,
    responses((status = 201, body = Persona)))]
async fn create_persona(
    State(studio): State<Studio>,
    caller: Caller,
    Json(input): Json<PersonaInput>,
) -> web::Result<(StatusCode, Etag, Json<Persona>)> {
    let (PersonaInput { name, text }, now) = (input.checked()?, studio.clock.now());
    let persona =
        Persona { id: Id::new(), name, text, version: 1, created_at: now, updated_at: now };
    let mut tx = studio.db.tenant(caller.org).await?;
    persona.insert(&mut tx, caller.org).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Etag(1), Json(persona)))
}

/// Show a persona.
#[utoipa::path(get, path = "/v1/personas/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Persona)))]
async fn show_persona(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Persona>>,
) -> web::Result<(Etag, Json<Persona>)> {
    let mut tx = studio.db.tenant(caller.org).await?;
    let persona = Persona::get(&mut *tx, id).await?;
    Ok((Etag(persona.version), Json(persona)))
}

/// Change a persona, if it is still the version named by `If-Match`.
#[utoipa::path(put, path = "/v1/personas/{id}", tag = "studio", request_body = PersonaInput,
    params(("id" = String, Path, format = Uuid), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Persona)))]
async fn change_persona(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Persona>>,
    if_match: IfMatch,
    Json(input): Json<PersonaInput>,
) -> web::Result<(Etag, Json<Persona>)> {
    let PersonaInput { name, text } = input.checked()?;
    let mut tx = studio.db.tenant(caller.org).await?;
    sqlx::query!("select from personas where id = $1 for update", id as _)
        .execute(&mut *tx)
        .await?;
    if_match.check(Persona::get(&mut *tx, id).await?.version)?;
    sqlx::query!(
        "update personas set name = $2, text = $3, version = version + 1, updated_at = $4
         where id = $1",
        id as _,
        name,
        text,
        studio.clock.now(),
    )
    .execute(&mut *tx)
    .await
    .map_err(name_taken)?;
    let persona = Persona::get(&mut *tx, id).await?;
    tx.commit().await?;
    Ok((Etag(persona.version), Json(persona)))
}

/// Delete a persona. What was said as it stays.
#[utoipa::path(delete, path = "/v1/personas/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn delete_persona(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Persona>>,
) -> web::Result<StatusCode> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Persona::get(&mut *tx, id).await?;
    sqlx::query!("delete from personas where id = $1", id as _).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
