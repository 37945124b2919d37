//! Asking somebody outside for their approval: they need no account, only the link in the mail.

mod approval;
mod ask;
mod decision;
mod error;
mod links;
mod personal_data;
mod routes;
mod webhook_events;

use app::{EventType, Module};
use db::Db;
use email::Mailer;
use kernel::Clock;
use rate_limit::Durable;
use url::Url;

pub use approval::{Approval, Status};
pub use error::{Error, Result};

use webhook_events::ApprovalDecided;

/// What this feature needs.
#[derive(Clone)]
pub struct Approvals {
    /// Where approvals are kept.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Mails the link, and the decision.
    pub mailer: Mailer,
    /// How many strangers an org may have us mail.
    pub limits: Durable,
    /// Where links lead to.
    pub app_url: Url,
}

/// Approvals as a part of the product.
pub fn module(approvals: Approvals) -> Module {
    let routes = routes::routes().merge(links::routes());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes.with_state(approvals),
        events: vec![EventType::of::<ApprovalDecided>()],
        ..Module::default()
    }
}
