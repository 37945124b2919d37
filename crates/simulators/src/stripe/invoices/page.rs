use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde_json::Value;

use crate::stripe::{
    action::Origin,
    error::Error,
    form::Params,
    money::money,
    pdf,
    shape::{integer, text},
    simulator::Simulator,
};

#[derive(Template)]
#[template(path = "invoice.html")]
struct Page<'a> {
    title: String,
    lines: Vec<String>,
    payable: bool,
    pdf: &'a str,
}

/// Shows an invoice to who has its address.
pub(in crate::stripe) async fn show(State(simulator): State<Arc<Simulator>>, uri: Uri) -> Response {
    match simulator.state().get("invoice", id(&uri)) {
        Some(invoice) => render(&Page {
            title: title(invoice),
            lines: lines(invoice),
            payable: invoice["status"] == "open",
            pdf: text(invoice, "invoice_pdf"),
        }),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The same to keep.
pub(in crate::stripe) async fn download(
    State(simulator): State<Arc<Simulator>>,
    uri: Uri,
) -> Response {
    match simulator.state().get("invoice", id(&uri)) {
        Some(invoice) => {
            let mut all = vec![title(invoice)];
            all.extend(lines(invoice));
            ([(CONTENT_TYPE, "application/pdf")], pdf::page(&all)).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The customer pays from the page.
pub(in crate::stripe) async fn pay(State(simulator): State<Arc<Simulator>>, uri: Uri) -> Response {
    let with_a_card = "payment_method=pm_card_visa";
    let paid = simulator
        .act(Origin::default(), |action| super::pay(action, id(&uri), Params::parse(with_a_card)));
    match paid {
        Ok(_) => Redirect::to(uri.path()).into_response(),
        Err(error) => (error.status, error.to_string()).into_response(),
    }
}

/// Shows the receipt of a payment.
pub(in crate::stripe) async fn receipt(
    State(simulator): State<Arc<Simulator>>,
    uri: Uri,
) -> Response {
    let state = simulator.state();
    let Some(charge) = state.get("charge", uri.path().trim_start_matches("/receipts/")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let currency = text(charge, "currency");
    let amount = |field: &str| money(integer(charge, field), currency);
    render(&Page {
        title: format!("Receipt {}", text(charge, "id")),
        lines: vec![
            format!("Paid: {}", amount("amount")),
            format!("Given back: {}", amount("amount_refunded")),
        ],
        payable: false,
        pdf: "",
    })
}

fn id(uri: &Uri) -> &str {
    uri.path().trim_start_matches("/invoices/").trim_end_matches("/pdf")
}

fn title(invoice: &Value) -> String {
    format!("Invoice {}", invoice["number"].as_str().unwrap_or("(draft)"))
}

fn lines(invoice: &Value) -> Vec<String> {
    let currency = text(invoice, "currency");
    let amount = |amount: i64| money(amount, currency);
    let mut lines = vec![format!("Status: {}", text(invoice, "status"))];
    for (label, field) in [("To", "customer_name"), ("E-mail", "customer_email")] {
        if let Some(value) = invoice[field].as_str() {
            lines.push(format!("{label}: {value}"));
        }
    }
    for tax_id in invoice["customer_tax_ids"].as_array().into_iter().flatten() {
        lines.push(format!("{}: {}", text(tax_id, "type"), text(tax_id, "value")));
    }
    for line in invoice["lines"]["data"].as_array().into_iter().flatten() {
        lines.push(format!("{}: {}", text(line, "description"), amount(integer(line, "amount"))));
    }
    let off = integer(invoice, "subtotal") - integer(invoice, "total");
    if off > 0 {
        lines.push(format!("Discount: {}", amount(-off)));
    }
    lines.push(format!("Total: {}", amount(integer(invoice, "total"))));
    lines.push(format!("Due: {}", amount(integer(invoice, "amount_due"))));
    lines.extend(invoice["footer"].as_str().map(str::to_owned));
    lines
}

fn render(page: &Page) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => Error::internal(error.to_string()).into_response(),
    }
}
