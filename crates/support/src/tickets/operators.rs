use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Query, Routes};

use super::{
    Ticket,
    message::Message,
    routes::{MessageInput, TicketPatch},
    ticket::{Status, Thread, Whose},
};
use crate::Support;

pub(crate) fn routes() -> Routes<Support> {
    let operators = Access::operators();
    Routes::new()
        .route(operators, routes!(list_all_tickets))
        .route(operators, routes!(show_any_ticket))
        .route(operators, routes!(answer_ticket))
        .route(operators, routes!(set_any_ticket))
}

/// Which tickets.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Tickets {
    /// With one status.
    #[param(inline)]
    status: Option<Status>,
    /// Tickets per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the tickets of all customers, the newest first.
#[utoipa::path(get, path = "/admin/v1/tickets", tag = "operators", params(Tickets),
    responses((status = 200, body = Page<Ticket>)))]
async fn list_all_tickets(
    State(support): State<Support>,
    Query(query): Query<Tickets>,
) -> web::Result<Json<Page<Ticket>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (db, before, rows) = (support.db.pool(), page.after()?, page.rows()?);
    let tickets = Ticket::list(db, Whose::Everybodys, query.status, before, rows).await?;
    Ok(Json(Page::new(&page, tickets, |ticket| ticket.id)))
}

/// Show a ticket of a customer, with all that was written.
#[utoipa::path(get, path = "/admin/v1/tickets/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Thread)))]
async fn show_any_ticket(
    State(support): State<Support>,
    Path(id): Path<Id<Ticket>>,
) -> web::Result<Json<Thread>> {
    let ticket = Ticket::get(support.db.pool(), Whose::Everybodys, id).await?;
    Ok(Json(ticket.thread(support.db.pool()).await?))
}

/// Answer a ticket. Its author is told by mail and in their feed.
#[utoipa::path(post, path = "/admin/v1/tickets/{id}/messages", tag = "operators",
    params(("id" = String, Path, format = Uuid)), request_body = MessageInput,
    responses((status = 201, body = Message)))]
async fn answer_ticket(
    State(support): State<Support>,
    origin: Origin,
    Path(id): Path<Id<Ticket>>,
    Json(input): Json<MessageInput>,
) -> web::Result<(StatusCode, Json<Message>)> {
    Ok((StatusCode::CREATED, Json(support.answer(id, &input.text, &origin).await?)))
}

/// Close a ticket of a customer, or open it again.
#[utoipa::path(patch, path = "/admin/v1/tickets/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), request_body = TicketPatch,
    responses((status = 200, body = Ticket)))]
async fn set_any_ticket(
    State(support): State<Support>,
    origin: Origin,
    Path(id): Path<Id<Ticket>>,
    Json(patch): Json<TicketPatch>,
) -> web::Result<Json<Ticket>> {
    Ok(Json(support.set(Whose::Everybodys, id, patch.status, &origin).await?))
}
