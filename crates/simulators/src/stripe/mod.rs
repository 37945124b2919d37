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
//! | subscription | `customer.created` if new, `payment_method.attached`, `invoice.created`, `customer.subscription.created`, `invoice.finalized`, the two of the payment, `invoice_payment.paid`, `invoice.paid`, `invoice.payment_succeeded`, `checkout.session.completed` |
//! | renewal | `invoice.created`, `customer.subscription.updated`, and an hour later `invoice.finalized` and those of its payment |
//! | declined card | `charge.failed`, `payment_intent.payment_failed`, and for an invoice `invoice.payment_failed`, `customer.subscription.updated` |
//! | refund | `charge.refunded`, `refund.created`; `refund.updated`, `charge.updated`, `charge.refund.updated`, `refund.failed` if the bank sends it back |
//! | dispute | `charge.updated`, `charge.dispute.created`, `charge.dispute.funds_withdrawn`; `charge.dispute.closed`, and `charge.dispute.funds_reinstated` if it is won |
//!
//! # Time
//!
//! Nothing happens by itself unless time is made to pass: [`Stripe::advance`] renews one subscription at once,
//! [`Stripe::live_until`] moves the simulator's clock and lets everything fall due on the way (renewals, ends of
//! trials, attempts to collect, sessions that close), and customers made with a test clock live by that.
//! A renewal's invoice is a draft for an hour; what cannot be collected is tried again after 3, 5 and 7 days.
//!
//! # Control
//!
//! What the methods of [`Stripe`] do, people do over HTTP with a JSON body: `GET /_simulator/state`, `POST`
//! `/_simulator/{advance, card, clock, deliver, delivery, disputes, dunning, faults, live, refunds, settle,
//! verdicts, webhook}`, `DELETE /_simulator/faults`. Cards are the ones Stripe has for tests: `pm_card_visa`
//! pays, `pm_card_chargeCustomerFail` can be attached and is declined.
//!
//! Taxes are never due, prices have no tiers, and discounts belong to
//! subscriptions and sessions, not to items or customers.

mod action;
mod api;
mod balance;
mod calendar;
mod checkout;
mod checkout_options;
mod control;
mod coupons;
mod credit_notes;
mod customer_balance;
mod customers;
mod delayed;
mod deliveries;
mod discounts;
mod disputes;
mod dunning;
mod error;
mod events;
mod expand;
mod faults;
mod form;
mod idempotency;
mod invoice_lines;
mod invoices;
mod items;
mod line_items;
mod list;
mod meter_events;
mod meters;
mod money;
mod page;
mod payment_methods;
mod payments;
mod pdf;
mod people;
mod period;
mod portal;
mod prices;
mod products;
mod promotion_codes;
mod purchase;
mod refunds;
mod routes;
mod schedules;
mod shape;
mod simulator;
mod state;
mod subscriptions;
mod tax_ids;
mod test_clocks;
mod versions;
mod webhook_endpoints;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    routing::{any, get},
};
use serde_json::Value;

use self::simulator::Simulator;
pub use self::{
    deliveries::{Attempt, Delivery},
    disputes::{Complaint, Verdict},
    dunning::Dunning,
    error::Error,
    faults::{Fault, Trouble},
    payment_methods::Card,
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
            .route("/portal/{session}", get(portal::page::show).post(portal::page::grant))
            .route("/invoices/{invoice}", get(invoices::page::show).post(invoices::page::pay))
            .route("/invoices/{invoice}/pdf", get(invoices::page::download))
            .route("/receipts/{charge}", get(invoices::page::receipt))
            .merge(control::routes())
            .with_state(Arc::clone(&simulator));
        let server = serve(addr, router).await?;
        simulator.url.get_or_init(|| format!("http://{}", server.addr));
        Ok(Self { server, simulator })
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

    /// Waits until an answer is held back, as [`Trouble::HoldAnswer`] asks.
    pub async fn holds_an_answer(&self) {
        self.simulator.holding.notified().await;
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

    /// All events so far, oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.simulator.state().all("event").cloned().collect()
    }

    /// Ids of the events that somebody still waits for, oldest first.
    pub fn undelivered(&self) -> Vec<String> {
        let state = self.simulator.state();
        let waiting = state.all("event").filter(|event| event["pending_webhooks"] != 0);
        waiting.map(|event| shape::text(event, "id").to_owned()).collect()
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
