use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Role, Routes};

use super::{
    Ticket,
    message::Message,
    ticket::{Status, Thread, Whose},
    write::TicketInput,
};
use crate::Support;

const READ: Permission = Permission::read("tickets:read");
const WRITE: Permission = Permission { name: "tickets:write", roles: &Role::ALL, keys: true };

pub(crate) fn routes() -> Routes<Support> {
    Routes::new()
        .route(of_ones_own(READ), routes!(list_tickets))
        .route(of_ones_own(READ), routes!(show_ticket))
        .route(of_ones_own(WRITE), routes!(open_ticket))
        .route(of_ones_own(WRITE), routes!(add_to_ticket))
        .route(of_ones_own(WRITE), routes!(set_ticket))
}

/// Whoever's org is suspended has something to ask.
fn of_ones_own(permission: Permission) -> Access {
    Access::to(permission).even_in_a_suspended_org()
}

/// Something to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageInput {
    /// What there is to say.
    #[schema(min_length = 1, max_length = 10_000)]
    pub(super) text: String,
}

/// What becomes of a ticket.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketPatch {
    /// `open` or `closed`.
    pub(super) status: Status,
}

fn theirs(caller: &Caller) -> Whose {
    Whose::Theirs(caller.org, caller.user)
}

/// List the tickets that you opened in this organization, the newest first.
#[utoipa::path(get, path = "/v1/tickets", tag = "support", params(PageQuery),
    responses((status = 200, body = Page<Ticket>)))]
async fn list_tickets(
    State(support): State<Support>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> web::Result<Json<Page<Ticket>>> {
    let mut tx = support.db.tenant(caller.org).await?;
    let (before, rows) = (page.after()?, page.rows()?);
    let tickets = Ticket::list(&mut *tx, theirs(&caller), None, before, rows).await?;
    Ok(Json(Page::new(&page, tickets, |ticket| ticket.id)))
}

/// Open a ticket. What had failed for you shortly before is attached, by ids and codes.
#[utoipa::path(post, path = "/v1/tickets", tag = "support", request_body = TicketInput,
    responses((status = 201, body = Thread)))]
async fn open_ticket(
    State(support): State<Support>,
    caller: Caller,
    Json(input): Json<TicketInput>,
) -> web::Result<(StatusCode, Json<Thread>)> {
    Ok((StatusCode::CREATED, Json(support.open(&caller, input).await?)))
}

/// Show a ticket of yours, with all that was written.
#[utoipa::path(get, path = "/v1/tickets/{id}", tag = "support",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Thread)))]
async fn show_ticket(
    State(support): State<Support>,
    caller: Caller,
    Path(id): Path<Id<Ticket>>,
) -> web::Result<Json<Thread>> {
    let mut tx = support.db.tenant(caller.org).await?;
    let ticket = Ticket::get(&mut *tx, theirs(&caller), id).await?;
    Ok(Json(ticket.thread(&mut *tx).await?))
}

/// Add to a ticket of yours. One that was closed is open again.
#[utoipa::path(post, path = "/v1/tickets/{id}/messages", tag = "support",
    params(("id" = String, Path, format = Uuid)), request_body = MessageInput,
    responses((status = 201, body = Message)))]
async fn add_to_ticket(
    State(support): State<Support>,
    caller: Caller,
    Path(id): Path<Id<Ticket>>,
    Json(input): Json<MessageInput>,
) -> web::Result<(StatusCode, Json<Message>)> {
    Ok((StatusCode::CREATED, Json(support.add(&caller, id, &input.text).await?)))
}

/// Close a ticket of yours, or open it again.
#[utoipa::path(patch, path = "/v1/tickets/{id}", tag = "support",
    params(("id" = String, Path, format = Uuid)), request_body = TicketPatch,
    responses((status = 200, body = Ticket)))]
async fn set_ticket(
    State(support): State<Support>,
    caller: Caller,
    origin: Origin,
    Path(id): Path<Id<Ticket>>,
    Json(patch): Json<TicketPatch>,
) -> web::Result<Json<Ticket>> {
    Ok(Json(support.set(theirs(&caller), id, patch.status, &origin).await?))
}
