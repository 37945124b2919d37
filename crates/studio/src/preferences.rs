//! How somebody likes it.

use axum::extract::State;
use kernel::{Id, User};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Problem, Role, Routes};

use crate::{Studio, personas::Persona, text};

const READ: Permission = Permission::read("preferences:read").people_only();
const WRITE: Permission = Permission { name: "preferences:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Studio> {
    Routes::new()
        .route(Access::to(READ), routes!(show_preferences))
        .route(Access::to(WRITE), routes!(set_preferences))
}

/// How models should sound.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
enum Tone {
    Neutral,
    Formal,
    Friendly,
    Playful,
    Persuasive,
}

/// How an app should look.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
enum Theme {
    Light,
    Dark,
    System,
}

/// What somebody likes, in all their orgs. What is left out is as usual.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preferences {
    /// The model, or the name of a route, that makes creations unless another is named.
    #[schema(example = "gpt-4o-mini")]
    pub(crate) default_model: Option<String>,
    /// The language of creations and conversations, as a tag (BCP 47).
    #[schema(example = "pt-BR")]
    language: Option<String>,
    /// How models sound.
    #[schema(inline)]
    tone: Option<Tone>,
    /// How an app looks: for clients, nothing else reads it.
    #[schema(inline)]
    theme: Option<Theme>,
}

impl Preferences {
    /// Those of a person.
    pub(crate) async fn of(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Self> {
        let preferences = sqlx::query_as!(
            Self,
            r#"select default_model, language, tone as "tone: _", theme as "theme: _"
               from user_preferences where user_id = $1"#,
            user as _,
        );
        Ok(preferences.fetch_optional(db).await?.unwrap_or_default())
    }

    fn check(&self) -> Result<(), Problem> {
        if let Some(model) = &self.default_model {
            text::in_one_line(model, "/default_model")?;
        }
        // It goes into prompts, so it is nothing but a tag.
        let is_tag = |tag: &String| {
            let mut parts = tag.split('-');
            let first = parts.next().unwrap_or_default();
            let letters = |it: char| it.is_ascii_alphabetic();
            let is_part = |it: &str| {
                (1..=8).contains(&it.len()) && it.chars().all(|it| it.is_ascii_alphanumeric())
            };
            (2..=3).contains(&first.len())
                && first.chars().all(letters)
                && tag.len() <= 35
                && parts.all(is_part)
        };
        if self.language.as_ref().is_some_and(|tag| !is_tag(tag)) {
            let detail = "must be the tag of a language, such as en or pt-BR";
            return Err(Problem::invalid_field("/language", detail));
        }
        Ok(())
    }

    /// What a model is told that answers this person, as `persona` if any.
    pub(crate) fn instructions(&self, persona: Option<&Persona>) -> String {
        let language = self.language.as_ref().map(|it| format!("Answer in the language {it}."));
        let tone = self.tone.map(|tone| match tone {
            Tone::Neutral => "Sound neutral.",
            Tone::Formal => "Sound formal.",
            Tone::Friendly => "Sound friendly.",
            Tone::Playful => "Sound playful.",
            Tone::Persuasive => "Sound persuasive.",
        });
        let parts = [persona.map(|it| it.text.as_str()), language.as_deref(), tone];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// Show what you like.
#[utoipa::path(get, path = "/v1/me/preferences", tag = "studio",
    responses((status = 200, body = Preferences)))]
async fn show_preferences(
    State(studio): State<Studio>,
    caller: Caller,
) -> web::Result<Json<Preferences>> {
    Ok(Json(Preferences::of(studio.db.pool(), caller.user).await?))
}

/// Say what you like, instead of what you said before.
#[utoipa::path(put, path = "/v1/me/preferences", tag = "studio", request_body = Preferences,
    responses((status = 200, body = Preferences)))]
async fn set_preferences(
    State(studio): State<Studio>,
    caller: Caller,
    Json(preferences): Json<Preferences>,
) -> web::Result<Json<Preferences>> {
    preferences.check()?;
    sqlx::query!(
        "insert into user_preferences (user_id, default_model, language, tone, theme, updated_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (user_id) do update
         set default_model = $2, language = $3, tone = $4, theme = $5, updated_at = $6",
        caller.user as _,
        preferences.default_model,
        preferences.language,
        preferences.tone as _,
        preferences.theme as _,
        studio.clock.now(),
    )
    .execute(studio.db.pool())
    .await?;
    Ok(Json(preferences))
}
