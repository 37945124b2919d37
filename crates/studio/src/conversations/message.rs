use ai::{Charged, Kept, Payer, Prompt};
use chrono::{DateTime, Utc};
use futures::{FutureExt, future::BoxFuture};
use kernel::Id;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use uuid::Uuid;
use web::{Caller, Problem};

use super::conversation::Conversation;
use crate::{Studio, personas::Persona, preferences::Preferences, text};

/// What whoever answers in a conversation is told.
pub(crate) const TALKER: Prompt = Prompt {
    name: "studio.conversation",
    variables: &["instructions"],
    text: "{{instructions}}\n\nAnswer what the user says.",
};

/// Of what was said before, how many messages are looked at.
const MOST_MESSAGES: i64 = 400;
/// What a message has beside its text, in tokens.
const AROUND: usize = 4;

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = ConversationRole)]
pub(crate) enum Speaker {
    User,
    Assistant,
}

/// Something that was said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationMessage)]
pub(crate) struct Message {
    /// Counts the messages of the conversation, from 1.
    pub(crate) position: i32,
    #[schema(inline)]
    pub(crate) role: Speaker,
    pub(crate) content: String,
    /// Who answered.
    pub(crate) model: Option<String>,
    /// The call, as in `GET /v1/usage/records`.
    pub(crate) call_id: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Something to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationMessageInput)]
pub(crate) struct MessageInput {
    #[schema(min_length = 1, max_length = 50_000, example = "And one for a submarine?")]
    content: String,
    /// The model, or the name of a route; else the one that you prefer.
    #[schema(example = "gpt-4o-mini")]
    model: Option<String>,
    /// The most tokens of the answer.
    #[serde(default = "MessageInput::usual_length")]
    #[schema(minimum = 1, maximum = 16_000, default = 1000)]
    max_tokens: i32,
}

/// What was said, and answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConversationExchange)]
pub(crate) struct Exchange {
    pub(crate) messages: Vec<Message>,
    /// What the answer cost, in billionths of a dollar.
    pub(crate) cost_nano_usd: i64,
}

impl MessageInput {
    fn usual_length() -> i32 {
        1000
    }

    fn check(&self) -> Result<(), Problem> {
        text::check(&self.content, 50_000, "/content")?;
        if let Some(model) = &self.model {
            text::in_one_line(model, "/model")?;
        }
        if !(1..=16_000).contains(&self.max_tokens) {
            return Err(Problem::invalid_field("/max_tokens", "must be between 1 and 16000"));
        }
        Ok(())
    }
}

impl Message {
    /// Up to `rows` of a conversation, the newest first, from the one before `before`.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        conversation: Id<Conversation>,
        before: Option<i32>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select position, role as "role: _", content, model, call_id, created_at
               from conversation_messages
               where conversation_id = $1 and ($2::integer is null or position < $2)
               order by position desc
               limit $3"#,
            conversation as _,
            before,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// About as many as a model counts.
    fn tokens(&self) -> usize {
        self.content.len().div_ceil(4) + AROUND
    }
}

/// What of `newest`, which begin with the newest, has room in so many tokens, in the order in which it was said. It
/// begins with what a person said.
fn window(newest: Vec<Message>, tokens: i32) -> Vec<Message> {
    let mut left = usize::try_from(tokens).unwrap_or_default();
    let fits = |it: &Message| {
        let rest = left.checked_sub(it.tokens());
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let mut kept: Vec<_> = newest.into_iter().take_while(fits).collect();
    kept.reverse();
    let begins = kept.iter().position(|it| it.role == Speaker::User).unwrap_or(kept.len());
    kept.split_off(begins)
}

impl Exchange {
    async fn of(
        db: &mut PgConnection,
        conversation: Id<Conversation>,
        Charged { call, cost }: Charged,
    ) -> web::Result<Self> {
        let answer = sqlx::query_scalar!(
            "select position from conversation_messages where conversation_id = $1 and call_id = $2",
            conversation as _,
            call,
        );
        let position = answer.fetch_one(&mut *db).await?;
        let mut messages = Message::list(db, conversation, Some(position + 1), 2).await?;
        messages.reverse();
        Ok(Self { messages, cost_nano_usd: cost.0 })
    }
}

impl Studio {
    /// Says something and waits for the answer. Both are kept, and only then the answer is charged; or neither.
    pub(super) async fn say(
        &self,
        caller: &Caller,
        id: Id<Conversation>,
        input: MessageInput,
    ) -> web::Result<Exchange> {
        input.check()?;
        let preferences = Preferences::of(self.db.pool(), caller.user).await?;
        let mut tx = self.db.tenant(caller.org).await?;
        let conversation = Conversation::get(&mut *tx, caller.user, id).await?;
        let persona = match conversation.persona_id {
            Some(persona) => Some(Persona::get(&mut *tx, persona).await?),
            None => None,
        };
        let before = Message::list(&mut *tx, id, None, MOST_MESSAGES).await?;
        drop(tx);
        if !self.ai.keeps_prompts(caller.org, caller.user).await? {
            let detail = "a conversation needs what was said before, and nothing is kept";
            return Err(Problem::conflict("prompts_not_kept", detail)
                .action("Send all of it with POST /v1/chat/completions, or have prompts kept."));
        }
        let Some(model) = input.model.or(preferences.default_model.clone()) else {
            let detail = "must be given, since you prefer none";
            return Err(Problem::invalid_field("/model", detail));
        };
        let instructions = preferences.instructions(persona.as_ref());
        let told = TALKER.fill(self.db.pool(), &[("instructions", &instructions)]).await?;
        let request = json!({
            "model": model,
            "max_tokens": input.max_tokens,
            "messages": messages(told.trim(), window(before, conversation.context_tokens), &input.content),
        });
        let Caller { org, user, .. } = *caller;
        let payer = Payer { org, user, api_key: caller.api_key(), spent_on: None };
        let keep = self.keep(caller, id, input.content);
        let charged = self.ai.chat_kept(payer, &request, keep).await?;
        let mut tx = self.db.tenant(org).await?;
        Exchange::of(&mut tx, id, charged).await
    }

    /// What writes down what was said and answered, unless the conversation was deleted meanwhile.
    fn keep(
        &self,
        caller: &Caller,
        id: Id<Conversation>,
        said: String,
    ) -> impl FnOnce(Kept) -> BoxFuture<'static, sqlx::Result<bool>> + Send + Sync + 'static {
        let (studio, org) = (self.clone(), caller.org);
        move |kept| {
            async move {
                let mut tx = studio.db.tenant(org).await?;
                let now = studio.clock.now();
                let is_there = append(&mut tx, id, &said, &kept, now).await?;
                tx.commit().await?;
                Ok(is_there)
            }
            .boxed()
        }
    }
}

fn messages(told: &str, before: Vec<Message>, said: &str) -> Vec<Value> {
    let mut messages = vec![json!({ "role": "system", "content": told })];
    let before = before.into_iter().map(|it| json!({ "role": it.role, "content": it.content }));
    messages.extend(before);
    messages.push(json!({ "role": "user", "content": said }));
    messages
}

/// `false`: the conversation is gone.
async fn append(
    db: &mut PgConnection,
    id: Id<Conversation>,
    said: &str,
    Kept { call, model, answer }: &Kept,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    // Nobody else appends to it before the transaction ends.
    let locked =
        sqlx::query!("update conversations set updated_at = $2 where id = $1", id as _, now);
    if locked.execute(&mut *db).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    sqlx::query!(
        "insert into conversation_messages
             (conversation_id, position, org_id, role, content, model, call_id, created_at)
         select c.id, coalesce((select max(position) from conversation_messages where conversation_id = c.id), 0) + n,
                c.org_id, role, content, model, call, $6
         from conversations c,
              (values (1, 'user', $2::text, null::text, null::uuid), (2, 'assistant', $3, $4, $5))
                  as said (n, role, content, model, call)
         where c.id = $1",
        id as _,
        said,
        // Postgres keeps no U+0000.
        content.replace('\0', ""),
        model,
        call,
        now,
    )
    .execute(db)
    .await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{Message, Speaker, window};

    /// Of 104 tokens each, the newest first.
    fn said(count: i32) -> Vec<Message> {
        let message = |position| Message {
            position,
            role: if position % 2 == 1 { Speaker::User } else { Speaker::Assistant },
            content: "x".repeat(400),
            model: None,
            call_id: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        (1..=count).rev().map(message).collect()
    }

    #[test]
    fn the_newest_that_have_room_go_along_from_something_a_person_said() {
        let kept = |count, tokens| -> Vec<i32> {
            window(said(count), tokens).iter().map(|it| it.position).collect()
        };
        assert_eq!(kept(6, 10_000), [1, 2, 3, 4, 5, 6]);
        assert_eq!(kept(6, 416), [3, 4, 5, 6]);
        assert_eq!(kept(6, 415), [5, 6], "not an answer without what it answers");
        assert_eq!(kept(6, 103), [0_i32; 0]);
        assert_eq!(kept(0, 100), [0_i32; 0]);
    }
}
