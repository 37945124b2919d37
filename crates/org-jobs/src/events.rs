use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::stream;
use kernel::Id;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use utoipa_axum::routes;
use web::{Access, Caller, Path, Problem, Routes};

use crate::{
    OrgJob, OrgJobs,
    routes::{READ, find},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) fn routes() -> Routes<OrgJobs> {
    Routes::new().route(Access::to(READ), routes!(follow_job))
}

/// Follow a job: an event `job` with the job whenever something has changed since the event `Last-Event-ID`, or since
/// ever. The stream ends when the job has, and after a while, for readers to come back; one who has seen the end of the
/// job is answered 204, whereupon browsers no longer do.
#[utoipa::path(get, path = "/v1/jobs/{id}/events", tag = "jobs",
    params(("id" = String, Path, format = Uuid), ("Last-Event-ID" = Option<i64>, Header)),
    responses((status = 200, content((String = "text/event-stream"))),
              (status = 204, description = "The job has ended, and there is nothing new")))]
async fn follow_job(
    State(jobs): State<OrgJobs>,
    caller: Caller,
    Path(id): Path<Id<OrgJob>>,
    headers: HeaderMap,
) -> web::Result<Response> {
    let seen = last_event(&headers)?;
    let first = find(&jobs, &caller, id).await?;
    if first.status.is_final() && first.revision <= seen {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let lasts = jobs.config.stream();
    let permit = jobs.followers.clone().try_acquire_owned().map_err(|_| too_many(lasts))?;
    let (until, next) = (Instant::now() + lasts, Some(first));
    let follower = Follower { jobs, caller, id, seen, ended: false, until, next, _permit: permit };
    let events = stream::unfold(follower, Follower::step);
    // Signs of life, for proxies that close what is silent.
    let keep_alive = KeepAlive::new().interval(lasts * 2 / 5);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

fn too_many(lasts: Duration) -> Problem {
    let detail = "too many jobs are being followed already";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_followers", detail)
        .retry_after(lasts.as_secs())
        .action("Try again in a while, or look at the job now and then.")
}

fn last_event(headers: &HeaderMap) -> web::Result<i64> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    let id = value.to_str().ok().and_then(|it| it.parse().ok());
    id.ok_or_else(|| Problem::bad_request("invalid_header", "Last-Event-ID is the id of an event"))
}

struct Follower {
    jobs: OrgJobs,
    caller: Caller,
    id: Id<OrgJob>,
    seen: i64,
    ended: bool,
    until: Instant,
    next: Option<OrgJob>,
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// Waits for the next change; `None` after the last.
    async fn step(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        while !self.ended {
            if let Some(job) = self.next.take() {
                self.ended = job.status.is_final();
                if job.revision > self.seen {
                    self.seen = job.revision;
                    let event = Event::default().event("job").id(job.revision.to_string());
                    return Some((Ok(event.json_data(&job).ok()?), self));
                }
                continue;
            }
            if Instant::now() + PAUSE > self.until {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
            // Nothing can be known just now: the reader looks again by itself.
            self.next = Some(find(&self.jobs, &self.caller, self.id).await.ok()?);
        }
        None
    }
}
