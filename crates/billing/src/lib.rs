//! What can be bought, and keeping what was bought in step with Stripe.

mod account;
mod alert;
mod apply;
mod arrears;
mod billed;
mod catalogue;
mod change;
mod check;
mod checkout;
mod closure;
mod config;
mod conversion;
mod coupons;
mod credits;
mod customer;
mod dispute;
mod error;
mod event;
mod inbox;
mod intake;
mod month;
mod overage;
mod payment;
mod personal_data;
mod plan;
mod plan_grant;
mod price;
mod publish;
mod purchase;
mod receipt;
mod reconcile;
mod recurring;
mod refund;
mod returns;
mod revenue;
mod routes;
mod self_test;
mod signature;
mod standing;
mod state;
mod stripe;
mod subscription;
mod subscription_routes;
mod subscription_view;
mod timeline;
mod trial;
mod upkeep;
mod violations;
mod webhook;
mod webhook_events;

use std::{ops::Deref, sync::Arc};

use app::Module;
use chrono::TimeDelta;
use db::Db;
use email::Mailer;
use jobs::Schedule;
use kernel::Clock;
use url::Url;

pub use catalogue::{Catalogue, CatalogueVersion, Difference, InvalidCatalogue, Offer};
pub use change::ChangeRefused;
pub use checkout::{Checkout, CheckoutStatus};
pub use closure::Closure;
pub use config::{Config, Mode};
pub use conversion::conversion_table;
pub use coupons::{Coupon, CouponInput, CouponKind, CouponRefused};
pub use error::{Error, Result};
pub use inbox::{InboxEvent, InboxQuery, InboxState, Replay};
pub use payment::{Payment, PaymentStatus};
pub use plan::{Interval, Pack, Plan};
pub use plan_grant::PlanGrant;
pub use reconcile::{Finding, Reconciliation};
pub use recurring::{RecurringPlan, RecurringRevenue};
pub use refund::Refund;
pub use returns::RefundInput;
pub use revenue::Revenue;
pub use self_test::SelfTest;
pub use state::{Access, STATES, State, states_table};
pub use stripe::Failure;
pub use subscription::Subscription;
pub use timeline::TimelineItem;
pub use violations::violations;

use apply::ApplyStripeEvent;
use catalogue::{Catalogues, SyncCatalogue};
use closure::CloseAccount;
use intake::{Intake, QueueStripeEvents};
use overage::ReportOverage;
use reconcile::Reconcile;
use returns::{FollowMoney, SendRefund};
use standing::ApplyCatalogue;
use stripe::{SessionTerms, Stripe};
use upkeep::Upkeep;

/// Selling, and handing out what was sold. Every request has a copy, so copies cost nothing.
#[derive(Clone)]
pub struct Billing(Arc<Shop>);

/// Catalogue, Stripe and books.
pub struct Shop {
    db: Db,
    clock: Clock,
    mailer: Mailer,
    catalogues: Catalogues,
    stripe: Option<Stripe>,
    intake: Intake,
    mode: Mode,
    /// How long an overdue bill may wait.
    grace: TimeDelta,
    terms: SessionTerms,
}

impl Deref for Billing {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.0
    }
}

impl Billing {
    /// Sells what is in the catalogue, if `config` has keys. People come back to `app_url`.
    pub fn new(
        db: Db,
        clock: Clock,
        mailer: Mailer,
        config: &Config,
        app_url: Url,
    ) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Shop {
            catalogues: Catalogues::new(db.clone()),
            intake: Intake::new(db.clone(), config.is_live()),
            db,
            clock,
            mailer,
            stripe: Stripe::from_config(config)?,
            mode: config.billing_mode,
            grace: TimeDelta::days(config.billing_grace_days.into()),
            terms: SessionTerms {
                app_url,
                automatic_tax: config.stripe_automatic_tax,
                promotion_codes: config.stripe_promotion_codes,
            },
        })))
    }

    fn stripe(&self) -> Result<&Stripe> {
        match (self.mode, &self.stripe) {
            (Mode::Free, _) => Err(Error::Free),
            (Mode::Stripe, stripe) => stripe.as_ref().ok_or(Error::NotConfigured),
        }
    }
}

/// Billing as a part of the product.
pub fn module(billing: Billing) -> Module {
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        jobs: jobs::Registry::default()
            .with::<ApplyStripeEvent>(billing.clone())
            .with::<ApplyCatalogue>(billing.clone())
            .with::<CloseAccount>(billing.clone())
            .with::<FollowMoney>(billing.clone())
            .with::<Reconcile>(billing.clone())
            .with::<QueueStripeEvents>(billing.clone())
            .with::<ReportOverage>(billing.clone())
            .with::<SendRefund>(billing.clone())
            .with::<SyncCatalogue>(billing.clone())
            .with::<Upkeep>(billing.clone()),
        schedules: vec![
            Schedule::cron("15 3 * * *", &Reconcile {}),
            Schedule::cron("*/10 * * * *", &Upkeep {}),
            Schedule::cron("* * * * *", &ReportOverage {}),
        ],
        checks: vec![check::check(billing.clone())],
        events: webhook_events::types(),
        routes: routes::routes().with_state(billing),
        ..Module::default()
    }
}
