use axum::{
    extract::{Extension, State},
    http::StatusCode,
};
use kernel::Id;
use metrics::counter;
use serde::Deserialize;
use telemetry::redacted;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Identity, Json, Problem, RateClass, Routes};

use crate::ClientErrors;

pub(crate) fn routes() -> Routes<ClientErrors> {
    let access = Access::public().limited_as(RateClass::ClientErrors);
    Routes::new().route(access, routes!(report_client_error))
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

impl ClientErrors {
    /// That it failed, for whom; what it says stays in the log.
    async fn note(
        &self,
        caller: &Caller,
        id: Id<ClientError>,
        error: &ClientError,
    ) -> sqlx::Result<()> {
        let request_id = error.request_id.as_deref().map(redacted);
        let release = error.release.as_deref().map(redacted);
        let mut tx = self.db.tenant(caller.org).await?;
        sqlx::query!(
            "insert into client_errors (id, org_id, user_id, release, request_id, created_at)
             values ($1, $2, $3, $4, $5, $6)",
            id as _,
            caller.org as _,
            caller.user as _,
            release.as_deref(),
            request_id.as_deref(),
            self.clock.now(),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }
}

/// Report an error of a browser or an app. It is kept in the log, with who was signed in.
#[utoipa::path(post, path = "/v1/client-errors", tag = "client errors", request_body = ClientError,
    responses((status = 202)))]
async fn report_client_error(
    State(errors): State<ClientErrors>,
    Extension(identity): Extension<Identity>,
    Json(error): Json<ClientError>,
) -> web::Result<StatusCode> {
    error.check()?;
    let id = Id::<ClientError>::new();
    counter!("client_errors_total").increment(1);
    tracing::error!(
        error_id = %id,
        page = error.page().map(redacted),
        stack = error.stack.as_deref().map(redacted),
        client_release = error.release.as_deref().map(redacted),
        concerns = error.request_id.as_deref().map(redacted),
        "in a client: {}",
        redacted(&error.message)
    );
    if let Identity::Known(caller) = identity
        && let Err(failure) = errors.note(&caller, id, &error).await
    {
        // It is in the log, which is what matters.
        tracing::warn!(error_id = %id, error = %failure, "a client's error could not be noted");
    }
    Ok(StatusCode::ACCEPTED)
}
