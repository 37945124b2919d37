//! A Stripe that runs on loopback: stateful, to be looked into, and able to misbehave on request.
//!
//! It speaks version `2026-09-30.endive` of the API, as far as a product that sells subscriptions and credits
//! needs it (see `routes.rs`), and refuses parameters it does not know instead of ignoring them. Its checkout
//! sessions lead to a real page where one pays by pressing a button. Its events are signed and delivered like
//! Stripe's.
//!
//! | action | events, in this order |
//! |---|---|
//! | one-time payment | `charge.succeeded`, `payment_intent.succeeded`, `checkout.session.completed` |
//! | subscription | `customer.created` if new, `customer.subscription.created`, `invoice.created`, the two of the payment, `invoice.paid`, `invoice.payment_succeeded`, `checkout.session.completed` |
//! | renewal | `invoice.created`, the two of the payment, `invoice.paid`, `invoice.payment_succeeded`, `customer.subscription.updated` |
//! | declined card | `charge.failed`, `payment_intent.payment_failed`, and `invoice.payment_failed` for a renewal |
//! | refund | `charge.refunded`, `refund.created` |
//!
//! What the methods of [`Stripe`] do, people do over HTTP with a JSON body: `GET /_simulator/state`, `POST`
//! `/_simulator/{advance, clock, deliver, delivery, faults, settle, webhook}`, `DELETE /_simulator/faults`.
//!
//! Taxes, discounts, disputes, metered prices and customer balances are not simulated. Prorations are, but a
//! negative invoice is simply free.

mod action;
mod api;
mod catalog;
mod checkout;
mod control;
mod customers;
mod deliveries;
mod error;
mod events;
mod expand;
mod faults;
mod form;
mod idempotency;
mod invoices;
mod items;
mod line_items;
mod list;
mod page;
mod payments;
mod period;
mod purchase;
mod refunds;
mod routes;
mod shape;
mod simulator;
mod state;
mod subscriptions;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    routing::{any, get},
};
use serde_json::Value;

use self::{action::Origin, simulator::Simulator};
pub use self::{
    deliveries::{Attempt, Delivery},
    error::Error,
    faults::{Fault, Trouble},
    payments::Card,
};
use crate::serve::{Server, serve};

/// How to run the simulator.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 means any free port.
    pub addr: SocketAddr,
    /// Where events go, if anywhere yet.
    pub webhook_url: Option<String>,
    /// The secret events are signed with (`whsec_…`).
    pub webhook_secret: String,
    /// The key callers must have (`sk_test_…`).
    pub secret_key: String,
    /// Where everything is kept, so that the next start finds it again.
    pub state_file: Option<PathBuf>,
}

/// A running simulator; it stops when this is dropped.
#[derive(Debug)]
pub struct Stripe {
    server: Server,
    simulator: Arc<Simulator>,
}

impl Stripe {
    /// Loads the state, if there is any, and starts to listen.
    pub async fn start(config: Config) -> io::Result<Self> {
        let addr = config.addr;
        let simulator = Arc::new(Simulator::new(config)?);
        let router = Router::new()
            .route("/v1/{*path}", any(api::handle))
            .route("/pay/{session}", get(page::show).post(page::pay))
            .merge(control::routes())
            .with_state(Arc::clone(&simulator));
        Ok(Self { server: serve(addr, router).await?, simulator })
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// Sends events to `url` from now on.
    pub fn set_webhook(&self, url: impl Into<String>) {
        self.simulator.set_webhook(url.into());
    }

    /// Stops the simulator's clock at a Unix time, as of callers with a frozen one; `None` starts it again.
    pub fn set_now(&self, now: Option<i64>) {
        self.simulator.set_now(now);
    }

    /// Makes calls fail.
    pub fn fail(&self, fault: Fault) {
        self.simulator.add_fault(fault);
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.simulator.clear_faults();
    }

    /// Changes how events are delivered.
    pub fn deliver_as(&self, delivery: Delivery) {
        self.simulator.set_delivery(delivery);
    }

    /// Sends an event again, `times` times, one after the other or all at once.
    pub async fn redeliver(
        &self,
        event: &str,
        times: usize,
        parallel: bool,
    ) -> Result<Vec<Attempt>, Error> {
        self.simulator.redeliver(event, times, parallel).await
    }

    /// Waits until no event is being delivered or tried again.
    pub async fn settled(&self) {
        self.simulator.settled().await;
    }

    /// Pays a checkout session as the hosted page does, and shows it as it is then.
    pub fn pay(&self, session: &str, card: Card) -> Result<Value, Error> {
        self.simulator.act(Origin::default(), |action| {
            purchase::pay(action, session, card, Some("buyer@example.com".to_owned()))
        })
    }

    /// Moves a subscription to its next period, paying for it with `card`.
    pub fn advance(&self, subscription: &str, card: Card) -> Result<Value, Error> {
        self.simulator
            .act(Origin::default(), |action| subscriptions::advance(action, subscription, card))
    }

    /// All events so far, oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.simulator.state().all("event").cloned().collect()
    }

    /// Every try to deliver an event, oldest first.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.simulator.state().attempts.clone()
    }

    /// Everything the simulator knows, as `GET /_simulator/state` shows it.
    pub fn state(&self) -> Result<Value, Error> {
        self.simulator.dump()
    }
}
