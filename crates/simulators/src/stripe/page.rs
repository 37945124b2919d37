use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::{StatusCode, Uri},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{
    action::Origin,
    checkout,
    error::Error,
    money::money,
    payment_methods::Card,
    purchase,
    shape::{integer, text},
    simulator::Simulator,
};

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage<'a> {
    status: &'a str,
    declined: bool,
    lines: Vec<Line>,
    total: String,
    cancel_url: &'a str,
    asks_email: bool,
    asks_code: bool,
    discount: String,
}

struct Line {
    what: String,
    quantity: i64,
    amount: String,
    every: String,
}

/// What the buyer sends from the page.
#[derive(Deserialize)]
pub(super) struct Payment {
    card: Card,
    email: Option<String>,
    /// Typed into the field for promotion codes.
    #[serde(default)]
    code: String,
}

/// Shows what a session sells.
pub(super) async fn show(State(simulator): State<Arc<Simulator>>, uri: Uri) -> Response {
    let found = simulator.act(Origin::default(), |action| {
        let session = checkout::current(action, session_id(&uri))?;
        let items = action.state.orders.get(session_id(&uri)).map(|order| order.items.clone());
        Ok((session, items.unwrap_or_default()))
    });
    match found {
        Ok((session, items)) => render(&session, &items, false),
        Err(error) => (error.status, error.to_string()).into_response(),
    }
}

/// Pays, and sends the buyer back to the shop.
pub(super) async fn pay(
    State(simulator): State<Arc<Simulator>>,
    uri: Uri,
    Form(payment): Form<Payment>,
) -> Response {
    let email = payment.email.filter(|email| !email.is_empty());
    let paid = simulator.act(Origin::default(), |action| {
        if !payment.code.is_empty() {
            checkout::enter_code(action, session_id(&uri), &payment.code)?;
        }
        let session = purchase::pay(action, session_id(&uri), payment.card, email)?;
        let items = action.state.orders.get(session_id(&uri)).map(|order| order.items.clone());
        Ok((session, items.unwrap_or_default()))
    });
    match paid {
        Ok((session, _)) if session["status"] == "complete" => {
            let url = text(&session, "success_url");
            let url = url.replace("{CHECKOUT_SESSION_ID}", text(&session, "id"));
            // Parsing leaves nothing in it that a header could not carry.
            Url::parse(&url).map_or_else(
                |error| Error::internal(error.to_string()).into_response(),
                |url| Redirect::to(url.as_str()).into_response(),
            )
        }
        Ok((session, items)) => render(&session, &items, true),
        Err(error) => (error.status, error.to_string()).into_response(),
    }
}

fn session_id(uri: &Uri) -> &str {
    uri.path().trim_start_matches("/pay/")
}

fn render(session: &Value, items: &[Value], declined: bool) -> Response {
    let status = text(session, "status");
    let page = CheckoutPage {
        status,
        declined: declined && status == "open",
        lines: items.iter().map(Line::of).collect(),
        total: money(integer(session, "amount_total"), text(session, "currency")),
        cancel_url: text(session, "cancel_url"),
        asks_email: session["customer_details"].is_null(),
        asks_code: session["allow_promotion_codes"] == true,
        discount: discount(session),
    };
    let code = match status {
        "open" if declined => StatusCode::PAYMENT_REQUIRED,
        "expired" => StatusCode::GONE,
        _ => StatusCode::OK,
    };
    match page.render() {
        Ok(html) => (code, Html(html)).into_response(),
        Err(error) => Error::internal(error.to_string()).into_response(),
    }
}

/// What is taken off, if anything is.
fn discount(session: &Value) -> String {
    match integer(&session["total_details"], "amount_discount") {
        0 => String::new(),
        off => money(-off, text(session, "currency")),
    }
}

impl Line {
    fn of(item: &Value) -> Self {
        let recurring = &item["price"]["recurring"];
        let every = match integer(recurring, "interval_count") {
            0 => String::new(),
            1 => format!("every {}", text(recurring, "interval")),
            count => format!("every {count} {}s", text(recurring, "interval")),
        };
        Self {
            what: text(item, "description").to_owned(),
            quantity: integer(item, "quantity"),
            amount: money(integer(item, "amount_total"), text(item, "currency")),
            every,
        }
    }
}
