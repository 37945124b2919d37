use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use web::{Html, Problem};

use crate::Auth;

/// Asks whoever registered to confirm their address, with the password that they chose. Mail
/// scanners open links but fill in no forms.
#[derive(Template)]
#[template(path = "confirm_email.html")]
pub(crate) struct ConfirmEmail<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
    pub(crate) refusal: Option<&'a str>,
}

/// Asks to accept an invitation.
#[derive(Template)]
#[template(path = "accept_invitation.html")]
pub(crate) struct AcceptInvitation<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
}

/// Asks for a new password.
#[derive(Template)]
#[template(path = "choose_password.html")]
pub(crate) struct ChoosePassword<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
    pub(crate) min_length: u16,
    pub(crate) max_length: u16,
    pub(crate) refusal: Option<&'a str>,
}

/// Asks to press a button, which mail scanners do not.
#[derive(Template)]
#[template(path = "press_button.html")]
pub(crate) struct PressButton<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
    pub(crate) button: &'a str,
}

/// What a sign-in link opens: a button in the browser that asked for it, the code in others.
#[derive(Template)]
#[template(path = "type_code.html")]
pub(crate) struct TypeCode<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
    pub(crate) code: &'a str,
    pub(crate) here: bool,
}

/// Where providers send people back to: goes on at the press of a button, with what they brought.
#[derive(Template)]
#[template(path = "come_back.html")]
pub(crate) struct ComeBack<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
    pub(crate) state: &'a str,
    pub(crate) code: Option<&'a str>,
    pub(crate) iss: Option<&'a str>,
}

/// Asks for the second factor.
#[derive(Template)]
#[template(path = "second_factor.html")]
pub(crate) struct SecondFactorForm<'a> {
    pub(crate) product: &'a str,
    pub(crate) title: &'a str,
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

impl Auth {
    pub(crate) fn product(&self) -> &str {
        self.mailer.product()
    }

    pub(crate) fn message(&self, title: &str, text: &str) -> Response {
        page(StatusCode::OK, &Message { product: self.product(), title, text })
    }

    /// What does not work is explained on a page; other failures stay problems.
    pub(crate) fn show_problem(&self, problem: Problem) -> web::Result<Response> {
        let shown = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        if !shown.contains(&problem.status) {
            return Err(problem);
        }
        let mut text = problem.detail.to_string();
        text[..1].make_ascii_uppercase();
        let text = format!("{text}. Please go back to where you came from and try again.");
        let title = "This does not work";
        Ok(page(problem.status, &Message { product: self.product(), title, text: &text }))
    }
}
