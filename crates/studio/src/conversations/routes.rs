use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Query, RateClass, Routes};

use super::{
    conversation::{Conversation, ConversationInput},
    message::{Exchange, Message, MessageInput},
};
use crate::{READ, Studio, WRITE};

pub(crate) fn routes() -> Routes<Studio> {
    let (read, write) = (Access::to(READ), Access::to(WRITE));
    Routes::new()
        .route(read, routes!(list_conversations))
        .route(read, routes!(show_conversation))
        .route(read, routes!(list_messages))
        .route(write, routes!(begin_conversation))
        .route(write, routes!(delete_conversation))
        .route(write.limited_as(RateClass::Chat), routes!(say))
}

/// Which conversations to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConversationsQuery {
    /// Only those in whose title or messages this stands, whatever the case of its letters.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Items per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List your conversations, the newest first.
#[utoipa::path(get, path = "/v1/conversations", tag = "studio", params(ConversationsQuery),
    responses((status = 200, body = Page<Conversation>)))]
async fn list_conversations(
    State(studio): State<Studio>,
    caller: Caller,
    Query(query): Query<ConversationsQuery>,
) -> web::Result<Json<Page<Conversation>>> {
    let ConversationsQuery { q, limit, cursor } = query;
    let page = PageQuery { limit, cursor };
    let words = q.map(|words| words.replace('\0', ""));
    let mut tx = studio.db.tenant(caller.org).await?;
    let (before, rows) = (page.after()?, page.rows()?);
    let found =
        Conversation::list(&mut *tx, caller.user, None, words.as_deref(), before, rows).await?;
    Ok(Json(Page::new(&page, found, |it| it.id)))
}

/// Begin a conversation.
#[utoipa::path(post, path = "/v1/conversations", tag = "studio", request_body = ConversationInput,
    responses((status = 201, body = Conversation)))]
async fn begin_conversation(
    State(studio): State<Studio>,
    caller: Caller,
    Json(input): Json<ConversationInput>,
) -> web::Result<(StatusCode, Json<Conversation>)> {
    let mut tx = studio.db.tenant(caller.org).await?;
    let whose = (caller.org, caller.user);
    let conversation = input.insert(&mut tx, whose, studio.clock.now()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(conversation)))
}

/// Show a conversation of yours.
#[utoipa::path(get, path = "/v1/conversations/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Conversation)))]
async fn show_conversation(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Conversation>>,
) -> web::Result<Json<Conversation>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Ok(Json(Conversation::get(&mut *tx, caller.user, id).await?))
}

/// Delete a conversation of yours, and all that was said in it.
#[utoipa::path(delete, path = "/v1/conversations/{id}", tag = "studio",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn delete_conversation(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Conversation>>,
) -> web::Result<StatusCode> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Conversation::get(&mut *tx, caller.user, id).await?;
    sqlx::query!("delete from conversations where id = $1", id as _).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List what was said in a conversation of yours, the newest first.
#[utoipa::path(get, path = "/v1/conversations/{id}/messages", tag = "studio",
    params(("id" = String, Path, format = Uuid), PageQuery),
    responses((status = 200, body = Page<Message>)))]
async fn list_messages(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Conversation>>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Message>>> {
    let mut tx = studio.db.tenant(caller.org).await?;
    Conversation::get(&mut *tx, caller.user, id).await?;
    let messages = Message::list(&mut *tx, id, query.position()?, query.rows()?).await?;
    Ok(Json(Page::ending_at(&query, messages, |it| it.position)))
}

/// Say something in a conversation of yours, and wait for the answer, which is charged.
#[utoipa::path(post, path = "/v1/conversations/{id}/messages", tag = "studio",
    params(("id" = String, Path, format = Uuid)), request_body = MessageInput,
    responses((status = 201, body = Exchange)))]
async fn say(
    State(studio): State<Studio>,
    caller: Caller,
    Path(id): Path<Id<Conversation>>,
    Json(input): Json<MessageInput>,
) -> web::Result<(StatusCode, Json<Exchange>)> {
    Ok((StatusCode::CREATED, Json(studio.say(&caller, id, input).await?)))
}
