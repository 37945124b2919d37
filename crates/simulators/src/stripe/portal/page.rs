use std::sync::Arc;

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::Uri,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::Value;

use crate::stripe::{
    action::{Action, Origin},
    error::Error,
    form::Params,
    money::money,
    payment_methods::{self, Card},
    shape::{integer, text},
    simulator::Simulator,
    subscriptions,
};

#[derive(Template)]
#[template(path = "portal.html")]
struct PortalPage {
    return_url: String,
    plans: Vec<Plan>,
    invoices: Vec<Bill>,
    card: String,
    may_cancel: bool,
}

struct Plan {
    id: String,
    what: String,
    status: String,
    leaving: bool,
}

struct Bill {
    number: String,
    status: String,
    total: String,
    url: String,
}

/// What the customer asks for.
#[derive(Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub(in crate::stripe) enum Wish {
    Cancel { subscription: String },
    Stay { subscription: String },
    Pay { card: Card },
}

/// Shows what a customer has.
pub(in crate::stripe) async fn show(State(simulator): State<Arc<Simulator>>, uri: Uri) -> Response {
    let page = simulator.act(Origin::default(), |action| {
        let session = session_of(action, &uri)?;
        Ok(PortalPage::of(action, &session))
    });
    match page.map(|page| page.render()) {
        Ok(Ok(html)) => Html(html).into_response(),
        Ok(Err(error)) => Error::internal(error.to_string()).into_response(),
        Err(error) => (error.status, error.to_string()).into_response(),
    }
}

/// Does what the customer asks for, and shows what they have then.
pub(in crate::stripe) async fn grant(
    State(simulator): State<Arc<Simulator>>,
    uri: Uri,
    Form(wish): Form<Wish>,
) -> Response {
    let granted = simulator.act(Origin::default(), |action| {
        let session = session_of(action, &uri)?;
        let customer = text(&session, "customer").to_owned();
        match wish {
            Wish::Cancel { subscription } => change(action, &customer, &subscription, true),
            Wish::Stay { subscription } => change(action, &customer, &subscription, false),
            Wish::Pay { card } => payment_methods::replace(action, &customer, card),
        }
    });
    match granted {
        Ok(_) => Redirect::to(uri.path()).into_response(),
        Err(error) => (error.status, error.to_string()).into_response(),
    }
}

fn session_of(action: &mut Action, uri: &Uri) -> Result<Value, Error> {
    let session =
        action.find("billing_portal.session", uri.path().trim_start_matches("/portal/"))?;
    action.live_by(text(&session, "customer"));
    Ok(session)
}

fn change(action: &mut Action, customer: &str, id: &str, leaves: bool) -> Result<Value, Error> {
    let subscription = action.find("subscription", id)?;
    if subscription["customer"] != customer {
        return Err(Error::not_found("subscription", id));
    }
    let wish = Params::parse(&format!("cancel_at_period_end={leaves}"));
    subscriptions::update(action, id, wish)
}

impl PortalPage {
    fn of(action: &Action, session: &Value) -> Self {
        let state = &action.state;
        let customer = text(session, "customer");
        let own = |object: &&Value| object["customer"] == customer;
        let configuration =
            state.get("billing_portal.configuration", text(session, "configuration"));
        let card = payment_methods::default_of(state, &Value::Null, customer);
        let card = card.and_then(|id| state.get("payment_method", &id));
        let last4 = card.map_or("none", |method| text(&method["card"], "last4"));
        Self {
            return_url: text(session, "return_url").to_owned(),
            plans: state.all("subscription").filter(own).map(|it| Plan::of(action, it)).collect(),
            invoices: state.all("invoice").rev().filter(own).map(Bill::of).collect(),
            card: last4.to_owned(),
            may_cancel: configuration
                .is_some_and(|it| it["features"]["subscription_cancel"]["enabled"] == true),
        }
    }
}

impl Plan {
    fn of(action: &Action, subscription: &Value) -> Self {
        let price = &subscription["items"]["data"][0]["price"];
        let product = action.state.get("product", text(price, "product"));
        let name = product.map_or("", |product| text(product, "name"));
        let amount = money(integer(price, "unit_amount"), text(price, "currency"));
        let every = text(&price["recurring"], "interval");
        Self {
            id: text(subscription, "id").to_owned(),
            what: format!("{name}, {amount} every {every}"),
            status: text(subscription, "status").to_owned(),
            leaving: subscription["cancel_at_period_end"] == true,
        }
    }
}

impl Bill {
    fn of(invoice: &Value) -> Self {
        Self {
            number: text(invoice, "number").to_owned(),
            status: text(invoice, "status").to_owned(),
            total: money(integer(invoice, "total"), text(invoice, "currency")),
            url: text(invoice, "hosted_invoice_url").to_owned(),
        }
    }
}
