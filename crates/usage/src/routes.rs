use std::convert::Infallible;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{self, Sse},
    },
};
use futures::{Stream, StreamExt};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, Permission, Query, Routes};

use crate::{
    Forecast, RecordsQuery, Report, ReportQuery, Usage,
    records::{Event, Listed, Shown, Tail, csv},
    savings::{Savings, SavingsQuery},
};

const READ: Permission = Permission::read("usage:read");

pub(crate) fn routes() -> Routes<Usage> {
    let read = Access::to(READ);
    Routes::new()
        .route(read, routes!(report))
        .route(read, routes!(forecast))
        .route(read, routes!(savings))
        .route(read, routes!(list_records))
        .route(read.not_for_stand_ins(), routes!(export))
        .route(read, routes!(follow))
}

/// What the org used: calls, tokens, cost in nano-USD, credits; in total, and by whatever was asked for.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(ReportQuery),
    responses((status = 200, content((Report = "application/json"), (String = "text/csv")))))]
async fn report(
    State(usage): State<Usage>,
    caller: Caller,
    Query(query): Query<ReportQuery>,
) -> web::Result<Response> {
    let mut tx = usage.db.tenant(caller.org).await?;
    let report = Report::of(&mut tx, caller.org, &query, usage.clock.now()).await?;
    report.respond(query.format)
}

/// What this month will have cost when it ends, if days stay as they are.
#[utoipa::path(get, path = "/v1/usage/forecast", tag = "usage",
    responses((status = 200, body = Forecast)))]
async fn forecast(State(usage): State<Usage>, caller: Caller) -> web::Result<Json<Forecast>> {
    let mut tx = usage.db.tenant(caller.org).await?;
    Ok(Json(Forecast::of(&mut tx, caller.org, usage.clock.now()).await?))
}

/// What cached prompts saved, and the choice of models against one that would have answered everything.
#[utoipa::path(get, path = "/v1/usage/savings", tag = "usage", params(SavingsQuery),
    responses((status = 200, body = Savings)))]
async fn savings(
    State(usage): State<Usage>,
    caller: Caller,
    Query(query): Query<SavingsQuery>,
) -> web::Result<Json<Savings>> {
    let book = usage.prices.models().await?;
    let span = query.span(usage.clock.now())?;
    let mut tx = usage.db.tenant(caller.org).await?;
    let baseline = query.baseline.as_deref();
    Ok(Json(Savings::of(&mut tx, &book, caller.org, span, baseline).await?))
}

/// The calls one by one, the newest first.
#[utoipa::path(get, path = "/v1/usage/records", tag = "usage", params(RecordsQuery),
    responses((status = 200, body = Page<Shown>)))]
async fn list_records(
    State(usage): State<Usage>,
    caller: Caller,
    Query(query): Query<RecordsQuery>,
) -> web::Result<Json<Page<Shown>>> {
    let listed = Listed::new(caller.org, query, usage.clock.now())?;
    let mut tx = usage.db.tenant(caller.org).await?;
    Ok(Json(listed.page(&mut *tx).await?))
}

/// The calls one by one as a CSV file, the newest first.
#[utoipa::path(get, path = "/v1/usage/export", tag = "usage", params(RecordsQuery),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn export(
    State(usage): State<Usage>,
    caller: Caller,
    Query(query): Query<RecordsQuery>,
) -> web::Result<Response> {
    let listed = Listed::new(caller.org, query, usage.clock.now())?;
    let file = csv(usage.db, caller.org, listed).inspect(|batch| {
        if let Err(error) = batch {
            tracing::warn!(%error, "an export broke off");
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"usage.csv\""),
    ];
    Ok((headers, Body::from_stream(file)).into_response())
}

/// Follow what calls add up to, as they end. Each stream lasts half a minute; go on with `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/usage/events", tag = "usage",
    params(("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that was seen")),
    responses((status = 200, body = Event, content_type = "text/event-stream")))]
async fn follow(
    State(usage): State<Usage>,
    caller: Caller,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let events = Tail::new(usage.db, caller.org, last).events();
    Sse::new(events.map(|event| {
        let data = serde_json::to_string(&event).unwrap_or_default();
        Ok(sse::Event::default().event("usage").id(event.id.to_string()).data(data))
    }))
}
