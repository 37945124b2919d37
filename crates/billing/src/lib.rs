//! What can be bought, and keeping what was bought in step with Stripe.

mod apply;
mod catalogue;
mod check;
mod checkout;
mod config;
mod customer;
mod error;
mod event;
mod payment;
mod plan;
mod purchase;
mod routes;
mod signature;
mod stripe;
mod subscription;
mod webhook;

use std::sync::Arc;

use app::Module;
use db::Db;
use kernel::Clock;
use url::Url;

pub use catalogue::{Catalogue, InvalidCatalogue, Offer};
pub use checkout::{Checkout, CheckoutStatus};
pub use config::Config;
pub use error::{Error, Result};
pub use payment::Payment;
pub use plan::{Interval, Pack, Plan};
pub use stripe::Failure;
pub use subscription::Subscription;

use apply::ApplyStripeEvent;
use stripe::Stripe;

/// Selling, and handing out what was sold.
#[derive(Clone, Debug)]
pub struct Billing {
    db: Db,
    clock: Clock,
    catalogue: Arc<Catalogue>,
    stripe: Option<Stripe>,
    app_url: Url,
}

impl Billing {
    /// Sells what is in `catalogue`, if `config` has keys. People come back to `app_url`.
    pub fn new(
        db: Db,
        clock: Clock,
        catalogue: Arc<Catalogue>,
        config: &Config,
        app_url: Url,
    ) -> anyhow::Result<Self> {
        Ok(Self { db, clock, catalogue, stripe: Stripe::from_config(config)?, app_url })
    }

    fn stripe(&self) -> Result<&Stripe> {
        self.stripe.as_ref().ok_or(Error::NotConfigured)
    }
}

/// Billing as a part of the product.
pub fn module(billing: Billing) -> Module {
    Module {
        jobs: jobs::Registry::default().with::<ApplyStripeEvent>(billing.clone()),
        checks: vec![check::check(billing.clone())],
        routes: routes::routes().with_state(billing),
        ..Module::default()
    }
}
