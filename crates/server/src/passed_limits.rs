use audit::{Entry, Origin};
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use db::Db;
use kernel::Clock;
use rate_limit::PassedLimit;

/// Middleware behind the limits: writes down that an operator was let through one of them. It never keeps
/// a request from being served: an operator who mends a broken database must get through.
pub(crate) async fn write_down(
    State((db, clock)): State<(Db, Clock)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(passed) = request.extensions().get::<PassedLimit>().copied() else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    if let Ok(origin) = Origin::from_request_parts(&mut parts, &()).await
        && let Err(error) = record(&db, &clock, &origin, passed).await
    {
        tracing::error!(%error, ?passed, "an operator was let through a limit unnoted");
    }
    next.run(Request::from_parts(parts, body)).await
}

async fn record(db: &Db, clock: &Clock, origin: &Origin, passed: PassedLimit) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    Entry::new(origin, None, "rate_limit.passed", passed.policy)
        .record(&mut tx, clock.now())
        .await?;
    tx.commit().await
}
