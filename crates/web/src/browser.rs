use std::convert::Infallible;

use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request, rejection::FormRejection},
    http::{header, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::{Json, Problem};

/// Whether the client is a browser showing a page, which asks for HTML by name.
#[derive(Clone, Copy, Debug)]
pub struct WantsPage(pub bool);

impl<S: Sync> FromRequestParts<S> for WantsPage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepted = parts.headers.get_all(header::ACCEPT).iter();
        let html = |value: &str| value.contains("text/html");
        Ok(Self(accepted.filter_map(|value| value.to_str().ok()).any(html)))
    }
}

/// A body that programs send as JSON and our pages as a form.
#[derive(Clone, Copy, Debug)]
pub struct JsonOrForm<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonOrForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
            let form = Form::from_request(request, state).await.map_err(rejected)?;
            return Ok(Self(form.0));
        }
        Ok(Self(Json::from_request(request, state).await?.0))
    }
}

fn rejected(rejection: FormRejection) -> Problem {
    match rejection {
        FormRejection::FailedToDeserializeFormBody(error) => {
            Problem::unprocessable("invalid_body", error.body_text())
        }
        other => Problem::new(other.status(), "malformed_form", other.body_text()),
    }
}
