use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, ClientIp, Html, Json, JsonOrForm, Path, Problem, RateClass, Routes, WantsPage};

use crate::{Approval, Approvals, Status, decision::Decision};

pub(crate) fn routes() -> Routes<Approvals> {
    let public = Access::public().limited_as(RateClass::Auth);
    Routes::new().route(public, routes!(show_approval_link, decide_approval))
}

/// What was decided.
#[derive(Serialize, ToSchema)]
struct Decided {
    title: String,
    status: Status,
}

#[derive(Template)]
#[template(path = "decide.html")]
struct Decide<'a> {
    product: &'a str,
    approval: &'a Approval,
}

#[derive(Template)]
#[template(path = "told.html")]
struct Told<'a> {
    product: &'a str,
    title: &'a str,
    text: &'a str,
}

/// The page behind the link in the mail: what is to be approved. Looking at it decides nothing.
#[utoipa::path(get, path = "/v1/approval-links/{token}", tag = "approvals",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_approval_link(
    State(approvals): State<Approvals>,
    Path(token): Path<String>,
) -> web::Result<Response> {
    let product = approvals.mailer.product();
    match approvals.asked(&token).await.map_err(Problem::from) {
        Ok(approval) => page(StatusCode::OK, &Decide { product, approval: &approval }),
        Err(problem) => explain(product, problem),
    }
}

/// Approve or reject what the link is about, once and for all.
#[utoipa::path(post, path = "/v1/approval-links/{token}", tag = "approvals",
    params(("token" = String, Path)), request_body = Decision,
    responses((status = 200, body = Decided, description = "A page, to browsers")))]
async fn decide_approval(
    State(approvals): State<Approvals>,
    Path(token): Path<String>,
    ip: ClientIp,
    WantsPage(wants_page): WantsPage,
    JsonOrForm(decision): JsonOrForm<Decision>,
) -> web::Result<Response> {
    let product = approvals.mailer.product();
    match approvals.decide(&token, decision, ip).await.map_err(Problem::from) {
        Ok(approval) if wants_page => {
            let title = match approval.status {
                Status::Approved => "Approved",
                _ => "Rejected",
            };
            let text = "Thank you. Those who asked you have been told.";
            page(StatusCode::OK, &Told { product, title, text })
        }
        Ok(approval) => {
            Ok(Json(Decided { title: approval.title, status: approval.status }).into_response())
        }
        Err(problem) if wants_page => explain(product, problem),
        Err(problem) => Err(problem),
    }
}

/// What does not work is explained on a page; failures of ours stay problems.
fn explain(product: &str, problem: Problem) -> web::Result<Response> {
    if !problem.status.is_client_error() {
        return Err(problem);
    }
    let action = problem.body(None)["action"].as_str().unwrap_or_default().to_owned();
    let text = format!("{}. {action}", problem.detail);
    page(problem.status, &Told { product, title: "This does not work", text: &text })
}

fn page(status: StatusCode, page: &impl Template) -> web::Result<Response> {
    Ok((status, Html(page.render().map_err(Problem::internal)?)).into_response())
}
