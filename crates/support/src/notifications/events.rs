use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use kernel::{Id, User};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use utoipa_axum::routes;
use web::{Caller, Problem, Routes};

use super::{
    notification::Notification,
    routes::{READ, mine},
};
use crate::Support;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Between signs of life, for proxies that close what is silent.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a stream lasts: shorter than a shutdown waits. Readers come back with `Last-Event-ID`.
const LASTS: Duration = Duration::from_secs(25);

pub(crate) fn routes() -> Routes<Support> {
    Routes::new().route(mine(READ), routes!(follow_notifications))
}

/// Follow your notifications: an event `notification` with each that is newer than the event `Last-Event-ID`, or than
/// the request without one, in their order. The stream ends after a while, for readers to come back.
#[utoipa::path(get, path = "/v1/me/notifications/events", tag = "support",
    params(("Last-Event-ID" = Option<i64>, Header)),
    responses((status = 200, content((String = "text/event-stream")))))]
async fn follow_notifications(
    State(support): State<Support>,
    caller: Caller,
    headers: HeaderMap,
) -> web::Result<Response> {
    let seen = match last_event(&headers)? {
        Some(seen) => seen,
        None => newest(&support, caller.user).await?,
    };
    let permit = support.followers.clone().try_acquire_owned().map_err(|_| too_many())?;
    let (until, next) = (Instant::now() + LASTS, VecDeque::new());
    let follower =
        Follower { support, user: caller.user, seen, until, next, first: true, _permit: permit };
    let events = stream::unfold(follower, Follower::step);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

async fn newest(support: &Support, user: Id<User>) -> sqlx::Result<i64> {
    let last =
        sqlx::query_scalar!("select last from notification_feeds where user_id = $1", user as _);
    Ok(last.fetch_optional(support.db.pool()).await?.unwrap_or_default())
}

fn too_many() -> Problem {
    let detail = "too many people follow their notifications already";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_followers", detail)
        .retry_after(LASTS.as_secs())
        .action("Try again in a while, or list your notifications now and then.")
}

fn last_event(headers: &HeaderMap) -> web::Result<Option<i64>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|it| it.parse().ok());
    let invalid = || Problem::bad_request("invalid_header", "Last-Event-ID is the id of an event");
    id.map(Some).ok_or_else(invalid)
}

struct Follower {
    support: Support,
    user: Id<User>,
    seen: i64,
    until: Instant,
    next: VecDeque<Notification>,
    first: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// Waits for the next one; `None` after a while.
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(it) = self.next.pop_front() {
                self.seen = it.number;
                let event = Event::default().event("notification").id(it.number.to_string());
                return Some((Ok(event.json_data(&it).ok()?), self));
            }
            if !self.first {
                if Instant::now() + PAUSE > self.until {
                    return None;
                }
                tokio::time::sleep(PAUSE).await;
            }
            self.first = false;
            // Nothing can be known just now: the reader comes back by itself.
            let db = self.support.db.pool();
            self.next = Notification::after(db, self.user, self.seen).await.ok()?.into();
        }
    }
}
