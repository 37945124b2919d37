use std::any::Any;

use axum::{
    extract::Request,
    http::{StatusCode, Uri},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{Problem, RequestId};

/// Middleware that puts the request id into problems and logs their causes, once.
pub async fn render_problems(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    if let Some(cause) = problem.cause() {
        if problem.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = problem.code, error = format!("{cause:#}"), "request failed");
        } else {
            tracing::warn!(code = problem.code, error = format!("{cause:#}"), "request failed");
        }
    }
    let headers = std::mem::take(response.headers_mut());
    let mut rendered = problem.respond(id.as_ref().map(RequestId::as_str));
    for (name, value) in &headers {
        if !rendered.headers().contains_key(name) && name != axum::http::header::CONTENT_LENGTH {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered
}

/// The answer for an address that does not exist.
pub async fn fallback(uri: Uri) -> Problem {
    Problem::not_found("no_such_address", format!("there is nothing at {}", uri.path()))
        .action("See /openapi.json for every address.")
}

/// The answer for a method that an address does not know; axum adds `Allow`.
pub async fn method_not_allowed() -> Problem {
    let detail = "this address does not know that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        .action("See the Allow header for the methods it knows.")
}

/// The answer when a handler took too long.
pub fn timed_out() -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "timed_out", "the request took too long")
}

/// The answer when a handler panicked. It has no cause, since the panic hook has logged the panic.
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    let detail = "something went wrong on our side";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_of_ours_that_is_not_logged_a_second_time() {
        let response = panicked(Box::new("a bug"));
        let problem = response.extensions().get::<Problem>().unwrap();
        assert_eq!((problem.status.as_u16(), problem.code), (500, "internal"));
        assert!(problem.cause().is_none());
    }
}
