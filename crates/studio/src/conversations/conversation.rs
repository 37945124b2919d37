use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Problem;

use crate::{personas::Persona, text};

/// Of what was said before, that goes with a message unless otherwise chosen.
const USUAL_CONTEXT: i32 = 8_000;

/// A conversation with a model. It is one person's alone: the queries run in a transaction of the org, and name them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversation {
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Conversation>,
    pub(crate) title: String,
    /// As whom the model speaks.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) persona_id: Option<Id<Persona>>,
    /// How many tokens of what was said before go with a message, the newest first.
    pub(crate) context_tokens: i32,
    pub(crate) created_at: DateTime<Utc>,
    /// When something was said last.
    pub(crate) updated_at: DateTime<Utc>,
}

/// A conversation that begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversationInput {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, example = "Slogans")]
    title: String,
    /// As whom the model speaks.
    #[schema(value_type = Option<String>, format = Uuid)]
    persona_id: Option<Id<Persona>>,
    /// How many tokens of what was said before go with a message.
    #[schema(minimum = 100, maximum = 200_000, default = 8000)]
    context_tokens: Option<i32>,
}

impl ConversationInput {
    pub(crate) async fn insert(
        self,
        db: &mut PgConnection,
        (org, user): (Id<Org>, Id<User>),
        now: DateTime<Utc>,
    ) -> web::Result<Conversation> {
        let title = text::in_one_line(&self.title, "/title")?;
        let context_tokens = self.context_tokens.unwrap_or(USUAL_CONTEXT);
        if !(100..=200_000).contains(&context_tokens) {
            let detail = "must be between 100 and 200000";
            return Err(Problem::invalid_field("/context_tokens", detail));
        }
        if let Some(id) = self.persona_id {
            Persona::get(&mut *db, id).await?;
        }
        let id = Id::<Conversation>::new();
        sqlx::query!(
            "insert into conversations
                 (id, org_id, user_id, title, persona_id, context_tokens, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)",
            id as _,
            org as _,
            user as _,
            title,
            self.persona_id as _,
            context_tokens,
            now,
        )
        .execute(&mut *db)
        .await?;
        Conversation::get(db, user, id).await
    }
}

impl Conversation {
    /// Up to `rows` of a person's, the newest first; with `words` only those in which somebody said them.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        of: Id<User>,
        id: Option<Id<Self>>,
        words: Option<&str>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", title, persona_id as "persona_id: _", context_tokens, created_at, updated_at
               from conversations c
               where user_id = $1 and ($2::uuid is null or id = $2) and ($4::uuid is null or id < $4)
                 and ($3::text is null or strpos(lower(title), lower($3)) > 0
                      or exists (select from conversation_messages m
                                 where m.conversation_id = c.id and strpos(lower(m.content), lower($3)) > 0))
               order by id desc
               limit $5"#,
            of as _,
            id as _,
            words,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of a person's.
    pub(crate) async fn get(
        db: impl PgExecutor<'_>,
        of: Id<User>,
        id: Id<Self>,
    ) -> web::Result<Self> {
        Self::list(db, of, Some(id), None, None, 1).await?.pop().ok_or_else(|| {
            Problem::not_found("conversation_not_found", "there is no such conversation")
                .action("List the conversations to see which there are.")
        })
    }
}
