use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use utoipa_axum::routes;
use web::{Access, Html, Path, Problem, RateClass, Routes};

use crate::{Category, Mailer};

pub(crate) fn routes() -> Routes<Mailer> {
    // Mailbox providers unsubscribe for many people from few addresses, and a token cannot be guessed.
    let access = Access::public().limited_as(RateClass::Unlimited);
    Routes::new().route(access, routes!(show_unsubscribe, unsubscribe))
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    product: &'a str,
    title: &'a str,
    text: &'a str,
    button: Option<&'a str>,
}

/// The page behind the link in a mail. It changes nothing: mail scanners open links.
#[utoipa::path(get, path = "/v1/email-unsubscribes/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn show_unsubscribe(State(mailer): State<Mailer>, _: Path<String>) -> web::Result<Response> {
    let text = "You will get no more mails of this kind. Others that you need, such as those about \
                signing in and payments, still reach you.";
    let (title, button) = ("No more of these mails?", Some("Unsubscribe"));
    page(&Page { product: mailer.product(), title, text, button })
}

/// End mails of the kind that the link came with. Mail programs send this themselves (RFC 8058); again,
/// it changes nothing.
#[utoipa::path(post, path = "/v1/email-unsubscribes/{token}", tag = "identity",
    params(("token" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn unsubscribe(
    State(mailer): State<Mailer>,
    Path(token): Path<String>,
) -> web::Result<Response> {
    let ended = mailer.unsubscribe(&token, mailer.clock.now()).await?;
    let what = ended.map(Category::title).ok_or_else(|| {
        let detail = "the link belongs to no mail of ours, or to one that is too old";
        Problem::bad_request("invalid_link", detail)
            .action("Turn mails off in your preferences instead.")
    })?;
    let text = format!(
        "You will get no more of these: {what}. If you have an account, your preferences turn them on again."
    );
    let title = "Unsubscribed";
    page(&Page { product: mailer.product(), title, text: &text, button: None })
}

fn page(page: &Page<'_>) -> web::Result<Response> {
    Ok(Html(page.render().map_err(Problem::internal)?).into_response())
}
