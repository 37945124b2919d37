use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Caller, Path, Permission, Routes};

use super::{Generation, generation::Status, routes::find};
use crate::Ai;

const READ: Permission = Permission::read("ai:read");
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) fn routes() -> Routes<Ai> {
    Routes::new().route(Access::to(READ), routes!(follow_generation))
}

/// Follow a generation: an event `status` with the generation at once, whenever its status changes,
/// and, the last one, with its answer or problem.
#[utoipa::path(get, path = "/v1/generations/{id}/events", tag = "ai",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, content((String = "text/event-stream")))))]
async fn follow_generation(
    State(ai): State<Ai>,
    caller: Caller,
    Path(id): Path<Id<Generation>>,
) -> web::Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let first = find(&ai, &caller, id).await?;
    let follower = Follower { ai, caller, id, shown: None, next: Some(first) };
    let events = stream::unfold(follower, Follower::step);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Follower {
    ai: Ai,
    caller: Caller,
    id: Id<Generation>,
    shown: Option<Status>,
    next: Option<Generation>,
}

impl Follower {
    /// Waits for the next change; `None` after the last.
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if self.shown.is_some_and(Status::is_final) {
                return None;
            }
            if let Some(generation) = self.next.take()
                && self.shown != Some(generation.status)
            {
                self.shown = Some(generation.status);
                let event = Event::default().event("status").json_data(&generation).ok()?;
                return Some((Ok(event), self));
            }
            tokio::time::sleep(PAUSE).await;
            // Forgotten, or nothing can be known just now: the client looks again by itself.
            self.next = Some(find(&self.ai, &self.caller, self.id).await.ok()?);
        }
    }
}
