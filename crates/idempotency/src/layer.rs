use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use futures::FutureExt;
use serde_json::json;
use tracing::{Instrument, Span};
use web::{Access, Caller, Identity, Problem, RateClass};

use crate::{
    Attempt, Idempotency,
    current::handling,
    key::{HEADER, Key},
    record::Claim,
};

/// The largest body that any operation accepts.
const LARGEST_BODY: usize = 20 * 1024 * 1024;
/// The largest answer that is kept, and the largest of an AI call.
const LARGEST_ANSWER: u64 = 1024 * 1024;
const LARGEST_AI_ANSWER: u64 = 64 * 1024 * 1024;
/// How long a handler may take, and how long nobody else may try: longer, so that no two ever run
/// at once.
const TIME_LIMIT: Duration = Duration::from_secs(30);
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The longest that a client is told to wait for a request in flight, in seconds.
const LONGEST_WAIT: i64 = 5;

/// Middleware, in front of the handlers: a `POST` that needs a caller and carries an
/// `Idempotency-Key` is done once and answered as often as it is sent.
pub async fn guard(
    State(idempotency): State<Idempotency>,
    request: Request,
    next: Next,
) -> Response {
    match guarded(&request) {
        Some((access, caller)) => {
            let answered = idempotency.answer(access, &caller, request, next).await;
            answered.unwrap_or_else(|problem| for_sdks(access, problem).into_response())
        }
        None => next.run(request).await,
    }
}

/// Who may call what, if the layer has anything to do. Callers without the permission are none: a
/// repetition needs it as much as the first request did.
fn guarded(request: &Request) -> Option<(Access, Caller)> {
    let is_named = request.method() == Method::POST && request.headers().contains_key(HEADER);
    let access = is_named.then(|| request.extensions().get::<Access>().copied())??;
    let Identity::Known(caller) = request.extensions().get()? else { return None };
    access.permission()?;
    caller.require(&access).is_ok().then(|| (access, caller.clone()))
}

impl Idempotency {
    async fn answer(
        &self,
        access: Access,
        caller: &Caller,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        let key = Key::of(request.headers())?;
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| {
            let detail = "the body is larger than any address accepts, or it ended early";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
        })?;
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let attempt = Attempt::new(self, caller, key, (&parts.method, route, &parts.uri), &body);
        match attempt.claim(self.lease(access)).await? {
            Claim::Ours => {}
            Claim::Done(sealed) => {
                return Ok(attempt.open(&sealed).ok_or_else(lost)?.replay(&parts.headers));
            }
            Claim::InFlight(until) => {
                if let Some(stream) = attempt.running() {
                    return Ok(stream.join(&parts.headers));
                }
                let wait = (until - self.clock.now()).num_seconds().clamp(1, LONGEST_WAIT);
                return Err(in_use(wait.unsigned_abs()));
            }
            Claim::OtherRequest => return Err(reused()),
            Claim::Lost => return Err(lost()),
        }
        let request = Request::from_parts(parts, Body::from(body));
        let running = run(access, attempt, request, next).instrument(Span::current());
        self.tasks.spawn(running).await.map_err(Problem::internal)
    }

    fn lease(&self, access: Access) -> TimeDelta {
        if access.class.keeps_its_own_time() {
            TimeDelta::from_std(self.longest).unwrap_or(LEASE)
        } else {
            LEASE
        }
    }
}

/// Does the request, to the end, whether or not anybody waits for it.
async fn run(access: Access, attempt: Attempt, request: Request, next: Next) -> Response {
    let handled = handling(attempt.clone(), next.run(request));
    let handled = AssertUnwindSafe(handled).catch_unwind();
    let handled = async { handled.await.unwrap_or_else(web::panicked) };
    let handled = if access.resumable {
        handled.left_future()
    } else {
        db::with_preamble(attempt.preamble(), handled).right_future()
    };
    if access.class.keeps_its_own_time() {
        return attempt.finish(handled.await, LARGEST_AI_ANSWER).await;
    }
    let in_time = tokio::time::timeout(TIME_LIMIT, handled).await;
    let response = in_time.unwrap_or_else(|_| web::timed_out().into_response());
    attempt.finish(response, LARGEST_ANSWER).await
}

/// The SDKs of AI providers show the reason that they find in `error`.
fn for_sdks(access: Access, problem: Problem) -> Problem {
    if !matches!(access.class, RateClass::Chat | RateClass::Generation) {
        return problem;
    }
    let error = json!({
        "message": problem.detail,
        "type": "invalid_request_error",
        "code": problem.code,
        "param": null,
    });
    problem.with("error", error)
}

fn in_use(wait: u64) -> Problem {
    let detail = "a request with this Idempotency-Key is being answered";
    Problem::conflict("idempotency_key_in_use", detail)
        .action("Wait as long as Retry-After says and send the same request again.")
        .retry_after(wait)
}

fn reused() -> Problem {
    let detail = "this Idempotency-Key was used for another request";
    Problem::unprocessable("idempotency_key_reused", detail)
        .action("Use a new key for a new request.")
}

fn lost() -> Problem {
    let detail = "the request was done, or partly, and its answer was lost";
    Problem::conflict("idempotency_answer_lost", detail)
        .action("Look at what it made; to do it once more, use a new Idempotency-Key.")
}
