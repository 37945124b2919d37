//! What fails in browsers and apps, told where our own failures are: in the log and, as every error there, to Sentry.

use app::Module;
use axum::http::StatusCode;
use metrics::counter;
use serde::Deserialize;
use telemetry::redacted;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Problem, RateClass, Routes};

/// The route, which takes reports from anybody: signing in may be what failed.
pub fn module() -> Module {
    let access = Access::public().limited_as(RateClass::ClientErrors);
    Module {
        routes: Routes::new().route(access, routes!(report_client_error)),
        ..Module::default()
    }
}

/// An error that a client ran into.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientError {
    /// What it says.
    #[schema(min_length = 1, max_length = 1000, example = "x is undefined")]
    message: String,
    /// Where in the client's code. Queries of addresses and e-mail addresses are struck out of it, and of the message.
    #[schema(max_length = 10_000)]
    stack: Option<String>,
    /// The page; what follows `?` or `#` is not kept.
    #[schema(max_length = 2000, example = "https://app.example.com/projects")]
    url: Option<String>,
    /// Of the client.
    #[schema(max_length = 100, example = "web@2.4.1")]
    release: Option<String>,
    /// `x-request-id` of the answer that it concerns, if it does.
    #[schema(max_length = 128)]
    request_id: Option<String>,
}

impl ClientError {
    fn check(&self) -> web::Result<()> {
        let texts = [
            ("/message", Some(&self.message), 1000),
            ("/stack", self.stack.as_ref(), 10_000),
            ("/url", self.url.as_ref(), 2000),
            ("/release", self.release.as_ref(), 100),
            ("/request_id", self.request_id.as_ref(), 128),
        ];
        let long = |(_, text, most): &(_, Option<&String>, usize)| {
            text.is_some_and(|text| text.chars().count() > *most)
        };
        if let Some((field, _, most)) = texts.into_iter().find(long) {
            return Err(Problem::invalid_field(
                field,
                format!("must have {most} characters at most"),
            ));
        }
        if self.message.trim().is_empty() {
            return Err(Problem::invalid_field("/message", "must say something"));
        }
        Ok(())
    }

    /// The page without what may be a link's secret in its query.
    fn page(&self) -> Option<&str> {
        self.url.as_ref()?.split(['?', '#']).next()
    }
}

/// Report an error of a browser or an app. It is kept in the log, with who was signed in.
#[utoipa::path(post, path = "/v1/client-errors", tag = "client errors", request_body = ClientError,
    responses((status = 202)))]
async fn report_client_error(Json(error): Json<ClientError>) -> web::Result<StatusCode> {
    error.check()?;
    counter!("client_errors_total").increment(1);
    tracing::error!(
        page = error.page().map(redacted),
        stack = error.stack.as_deref().map(redacted),
        client_release = error.release.as_deref().map(redacted),
        concerns = error.request_id.as_deref().map(redacted),
        "in a client: {}",
        redacted(&error.message)
    );
    Ok(StatusCode::ACCEPTED)
}
