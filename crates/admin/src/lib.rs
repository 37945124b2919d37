//! What the people who run the product can see and do. Every route is for operators only, and
//! everything that changes something is written into the audit log.

mod ai_control;
mod ai_routes;
mod audit_log;
mod billing;
mod budgets;
mod catalogue;
mod costs;
mod coupons;
mod days;
mod grants;
mod invariants;
mod job_routes;
mod ledger;
mod mail;
mod margin;
mod margins;
mod orgs;
mod plan_grants;
mod prices;
mod prompts;
mod queues;
mod reason;
mod usage_reports;
mod users;

use std::sync::Arc;

use ::billing::Billing;
use ai::{Ai, Prompt};
use app::Module;
use audit::Audit;
use auth::Auth;
use db::Db;
use kernel::Clock;
use quotas::Quotas;
use usage::Usage;
use web::Routes;

/// What this feature needs.
#[derive(Clone)]
pub struct Admin {
    /// Everything is seen across orgs, as the owner.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Budgets of the platform and of orgs.
    pub quotas: Quotas,
    /// What calls cost.
    pub usage: Usage,
    /// The gateway, to be switched off.
    pub ai: Ai,
    /// What is sold, and to whom.
    pub billing: Billing,
    /// What was done.
    pub audit: Audit,
    /// Accounts and orgs, to be suspended.
    pub auth: Auth,
    /// What models are told, to be changed.
    pub prompts: Arc<[Prompt]>,
}

/// Administration as a part of the product.
pub fn module(admin: Admin) -> Module {
    let routes = Routes::new()
        .merge(ai_control::routes())
        .merge(ai_routes::routes())
        .merge(billing::routes())
        .merge(budgets::routes())
        .merge(catalogue::routes())
        .merge(costs::routes())
        .merge(coupons::routes())
        .merge(invariants::routes())
        .merge(ledger::routes())
        .merge(mail::routes())
        .merge(margins::routes())
        .merge(orgs::routes())
        .merge(plan_grants::routes())
        .merge(prices::routes())
        .merge(prompts::routes())
        .merge(queues::routes())
        .merge(job_routes::routes())
        .merge(usage_reports::routes())
        .merge(users::routes())
        .merge(grants::routes())
        .merge(audit_log::routes());
    Module { routes: routes.with_state(admin), ..Module::default() }
}
