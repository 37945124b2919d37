use std::convert::Infallible;

use askama::Template;
use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request, rejection::FormRejection},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use web::{Html, Json, Problem};

/// Asks to confirm an address. Mail scanners open links but press no buttons.
#[derive(Template)]
#[template(path = "confirm_email.html")]
pub(crate) struct ConfirmEmail<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
}

/// Asks for a new password.
#[derive(Template)]
#[template(path = "choose_password.html")]
pub(crate) struct ChoosePassword<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
    pub(crate) min_length: usize,
    pub(crate) refusal: Option<&'a str>,
}

/// Says how it went.
#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Message<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

pub(crate) fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => Problem::internal(error).into_response(),
    }
}

/// Whether the client is a browser showing a page, which asks for HTML by name.
pub(crate) struct WantsPage(pub(crate) bool);

impl<S: Sync> FromRequestParts<S> for WantsPage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepted = parts.headers.get_all(header::ACCEPT).iter();
        let html = |value: &str| value.contains("text/html");
        Ok(Self(accepted.filter_map(|value| value.to_str().ok()).any(html)))
    }
}

/// A body that programs send as JSON and our pages as a form.
pub(crate) struct JsonOrForm<T>(pub(crate) T);

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
