use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use web::{Access, ClientIp, Problem, RateClass};

use super::list::Blocked;
use crate::Auth;

/// Middleware, before anybody is asked who they are: refuses what comes from a blocked network. Probes
/// and the webhooks of providers get through: the product is not to fall with a network.
pub async fn refuse_blocked(
    State(auth): State<Arc<Auth>>,
    request: Request,
    next: Next,
) -> Response {
    let class = request.extensions().get::<Access>().map(|access| access.class);
    let ip = request.extensions().get::<ClientIp>().filter(|_| class != Some(RateClass::Unlimited));
    if let Some(ClientIp(ip)) = ip
        && let Some(Blocked(until)) = auth.blocks.find(*ip).await
    {
        return refusal(until.map(|until| until - auth.clock.now())).into_response();
    }
    next.run(request).await
}

fn refusal(left: Option<TimeDelta>) -> Problem {
    let detail = "requests from your network are blocked";
    let problem = Problem::new(StatusCode::FORBIDDEN, "network_blocked", detail)
        .action("Write to support if this is a mistake.");
    match left.and_then(|left| u64::try_from(left.num_seconds()).ok()) {
        Some(seconds) => problem.retry_after(seconds.max(1)),
        None => problem,
    }
}
