use std::convert::Infallible;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower::{ServiceExt, service_fn};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_layer::Layer;

use crate::{Problem, cookies};

/// Pages of which sites may make a browser send our cookies with something that changes anything: our
/// own, and those of `trusted`.
#[derive(Clone, Debug)]
pub struct SameSite(CsrfLayer<fn(ProtectionError) -> Response>);

impl SameSite {
    /// Trusts pages of these origins as our own. What is no origin is trusted by nobody.
    pub fn new<'a>(trusted: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let refused: fn(ProtectionError) -> Response = |_| refusal().into_response();
        let layer = CsrfLayer::new().with_rejection_response(refused);
        let origins = trusted.into_iter().filter_map(|origin| origin.to_str().ok());
        Self(
            origins.fold(layer, |layer, origin| {
                layer.clone().add_trusted_origin(origin).unwrap_or(layer)
            }),
        )
    }
}

/// Middleware: refuses requests that another site's page made the browser send. Those without our
/// cookies have nothing that a browser adds by itself, so they may come from anywhere.
pub async fn same_site(
    State(SameSite(csrf)): State<SameSite>,
    request: Request,
    next: Next,
) -> Response {
    if !cookies::has_cookies(request.headers()) {
        return next.run(request).await;
    }
    let rest = service_fn(move |request| {
        let next = next.clone();
        async move { Ok::<_, Infallible>(next.run(request).await) }
    });
    csrf.layer(rest).oneshot(request).await.unwrap_or_else(|never| match never {})
}

fn refusal() -> Problem {
    let detail = "another site's page sent this request with the cookies of a session here";
    Problem::new(StatusCode::FORBIDDEN, "cross_site_request", detail)
        .action("Send it from our own pages, or with a bearer token instead of cookies.")
}
