use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use email::ActionMail;
use kernel::{EmailAddress, Id};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, ClientIp, Json, Page, PageQuery, Path, Problem, Query, RateClass, Routes};

use super::{InviteCode, SignUp, invite_code::NewInviteCode, waitlist::WaitlistEntry};
use crate::{Auth, abuse::limits::MailRequest};

/// Somebody from the waitlist has so long to use their code.
const INVITED_FOR: TimeDelta = TimeDelta::days(14);

pub(crate) fn routes() -> Routes<Auth> {
    let operators = Access::operators();
    Routes::new()
        .route(Access::public().limited_as(RateClass::Auth), routes!(join_waitlist))
        .route(operators, routes!(list_waitlist))
        .route(operators, routes!(invite_from_waitlist))
        .route(operators, routes!(list_invite_codes))
        .route(operators, routes!(create_invite_code))
        .route(operators, routes!(remove_invite_code))
}

/// Who wants to be let in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWaitlistEntry {
    email: EmailAddress,
}

/// What a code is good for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InviteCodeInput {
    #[schema(min_length = 1, max_length = 200, example = "Beta, spring")]
    note: String,
    /// Only for this address.
    email: Option<EmailAddress>,
    /// How many people may register with it.
    #[schema(minimum = 1, maximum = 100_000)]
    uses: i32,
    /// What each new org gets.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    credits: i64,
    /// When it stops working; absent: never by itself.
    expires_at: Option<DateTime<Utc>>,
}

/// A code just made.
#[derive(Serialize, ToSchema)]
struct CreatedInviteCode {
    #[serde(flatten)]
    invite_code: InviteCode,
    /// The code itself. It is not stored and cannot be shown again.
    code: String,
}

/// Join the waitlist, where there is one. The answer is the same for whoever is on it already.
#[utoipa::path(post, path = "/v1/waitlist-entries", tag = "identity",
    request_body = NewWaitlistEntry,
    responses((status = 202, description = "You will be sent an invite code")))]
async fn join_waitlist(
    State(auth): State<Auth>,
    ip: ClientIp,
    Json(new): Json<NewWaitlistEntry>,
) -> web::Result<StatusCode> {
    if auth.config.sign_up.sign_up != SignUp::Waitlist {
        return Err(Problem::not_found("no_waitlist", "there is no waitlist"));
    }
    auth.limit_mail_request(ip, &new.email, MailRequest::Registration).await?;
    WaitlistEntry::join(auth.db.pool(), &new.email, auth.clock.now()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// List who waits, whoever came first first.
#[utoipa::path(get, path = "/admin/v1/waitlist-entries", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<WaitlistEntry>)))]
async fn list_waitlist(
    State(auth): State<Auth>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<WaitlistEntry>>> {
    let rows = WaitlistEntry::waiting(auth.db.pool(), query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |entry| entry.id)))
}

/// Let somebody in who waits: they are mailed a code for their address.
#[utoipa::path(post, path = "/admin/v1/waitlist-entries/{id}/invitation", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 202, description = "A code is on its way")))]
async fn invite_from_waitlist(
    State(auth): State<Auth>,
    origin: Origin,
    Path(id): Path<Id<WaitlistEntry>>,
) -> web::Result<StatusCode> {
    let now = auth.clock.now();
    let mut tx = auth.db.begin().await?;
    let Some(email) = WaitlistEntry::invite(&mut tx, id, now).await? else {
        return Err(Problem::not_found("not_waiting", "nobody with that id waits"));
    };
    let (note, expires_at) = ("Waitlist".to_owned(), Some(now + INVITED_FOR));
    let new = NewInviteCode { note, email: Some(email.clone()), uses: 1, credits: 0, expires_at };
    let (_, code) = new.create(&mut tx, now).await?;
    let text = format!("you can register now. Your invite code, for this address, is {code}.");
    let mail = ActionMail {
        name: "",
        subject: "You are invited",
        text: &text,
        button: "Register",
        link: &auth.app_url,
        note: "The code works for two weeks, once.",
    };
    auth.mailer.queue(&mut tx, &email, None, &mail).await?;
    Entry::new(&origin, None, "waitlist.invited", id).record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(StatusCode::ACCEPTED)
}

/// List the invite codes.
#[utoipa::path(get, path = "/admin/v1/invite-codes", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<InviteCode>)))]
async fn list_invite_codes(
    State(auth): State<Auth>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<InviteCode>>> {
    let rows = InviteCode::list(auth.db.pool(), query.after()?, query.rows()?).await?;
    Ok(Json(Page::new(&query, rows, |code| code.id)))
}

/// Make an invite code.
#[utoipa::path(post, path = "/admin/v1/invite-codes", tag = "operators",
    request_body = InviteCodeInput, responses((status = 201, body = CreatedInviteCode)))]
async fn create_invite_code(
    State(auth): State<Auth>,
    origin: Origin,
    Json(input): Json<InviteCodeInput>,
) -> web::Result<(StatusCode, Json<CreatedInviteCode>)> {
    let now = auth.clock.now();
    if !(1..=200).contains(&input.note.trim().chars().count()) {
        return Err(Problem::invalid_field("/note", "must be 1 to 200 characters"));
    }
    if !(1..=100_000).contains(&input.uses) {
        return Err(Problem::invalid_field("/uses", "must be 1 to 100000"));
    }
    if !(0..=1_000_000).contains(&input.credits) {
        return Err(Problem::invalid_field("/credits", "must be 0 to 1000000"));
    }
    if input.expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::invalid_field("/expires_at", "must be in the future"));
    }
    let InviteCodeInput { note, email, uses, credits, expires_at } = input;
    let mut tx = auth.db.begin().await?;
    let after = json!({ "note": note, "uses": uses, "credits": credits });
    let new = NewInviteCode { note: note.trim().to_owned(), email, uses, credits, expires_at };
    let (invite_code, code) = new.create(&mut tx, now).await?;
    let entry = Entry::new(&origin, None, "invite_code.created", invite_code.id);
    entry.after(after).record(&mut tx, now).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(CreatedInviteCode { invite_code, code })))
}

/// Remove an invite code: nobody registers with it any more.
#[utoipa::path(delete, path = "/admin/v1/invite-codes/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The code has stopped working")))]
async fn remove_invite_code(
    State(auth): State<Auth>,
    origin: Origin,
    Path(id): Path<Id<InviteCode>>,
) -> web::Result<StatusCode> {
    let mut tx = auth.db.begin().await?;
    if !InviteCode::remove(&mut tx, id).await? {
        return Err(Problem::not_found("invite_code_not_found", "there is no such invite code"));
    }
    let entry = Entry::new(&origin, None, "invite_code.removed", id);
    entry.record(&mut tx, auth.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
