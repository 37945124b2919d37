//! Calls to Stripe: typed requests out, only the fields we read back, time-outs and retries.

mod account;
mod bill;
mod catalogue;
mod changes;
mod coupons;
mod failure;
mod objects;
mod overage;
mod planned;
mod read;
mod requests;
mod returns;
mod standings;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeRequest};
use backon::{ExponentialBuilder, Retryable};
use kernel::{Breaker, Id, Org};
use secrecy::{ExposeSecret, SecretString};
use stripe_billing::subscription::{ListSubscription, ListSubscriptionStatus};
use stripe_checkout::checkout_session::{
    ExpireCheckoutSession, ListCheckoutSession, RetrieveCheckoutSession,
};
use stripe_core::payment_intent::RetrievePaymentIntent;

use crate::{Checkout, Config, Offer};

pub(crate) use account::{CustomerDetails, ShownInvoice};
pub(crate) use bill::Bill;
pub(crate) use catalogue::Price;
pub(crate) use changes::ItemChange;
pub use failure::Failure;
use objects::{Customer, List};
pub(crate) use objects::{Intent, Session, Subscription};
pub(crate) use requests::SessionTerms;
pub(crate) use returns::{BalanceTransaction, Charge, Dispute, Refund};
pub(crate) use standings::Standing;

/// Our account at Stripe.
#[derive(Clone, Debug)]
pub(crate) struct Stripe {
    client: Client,
    breaker: Arc<Breaker>,
    /// What events are signed with.
    pub(crate) webhook_secret: SecretString,
    /// Whether real money moves.
    pub(crate) live: bool,
}

impl Stripe {
    /// Without keys there is no account.
    pub(crate) fn from_config(config: &Config) -> anyhow::Result<Option<Self>> {
        let keys = (&config.stripe_secret_key, &config.stripe_webhook_secret);
        let (Some(key), Some(webhook_secret)) = keys else { return Ok(None) };
        let builder = ClientBuilder::new(key.expose_secret())
            .timeout(Duration::from_millis(config.stripe_timeout_ms));
        let builder = match &config.stripe_base_url {
            // The library appends paths to it as text.
            Some(url) => builder.url(format!("{}/", url.as_str().trim_end_matches('/'))),
            None => builder,
        };
        let webhook_secret = webhook_secret.clone();
        Ok(Some(Self {
            client: builder.build()?,
            breaker: Arc::default(),
            webhook_secret,
            live: config.is_live(),
        }))
    }

    /// The id of a customer for `org`, the same however often and by whom it is asked for.
    pub(crate) async fn create_customer(&self, org: Id<Org>) -> Result<String, Failure> {
        let key = format!("customer-{org}");
        let customer: Customer = self.send(&requests::customer(org), Some(key)).await?;
        Ok(customer.id)
    }

    /// The page on which to pay for `checkout`, the same however often it is asked for.
    pub(crate) async fn create_session(
        &self,
        checkout: &Checkout,
        offer: &Offer<'_>,
        customer: &str,
        terms: &SessionTerms,
    ) -> Result<Session, Failure> {
        let request = requests::session(checkout, offer, customer, terms);
        self.send(&request, Some(checkout.id.to_string())).await
    }

    /// Makes sure that nobody can pay on that page any more; refused if somebody has.
    pub(crate) async fn expire_session(&self, id: &str) -> Result<Session, Failure> {
        self.send(&ExpireCheckoutSession::new(id), None).await
    }

    /// The newest state of a session.
    pub(crate) async fn session(&self, id: &str) -> Result<Session, Failure> {
        self.send(&RetrieveCheckoutSession::new(id), None).await
    }

    /// The newest state of a payment.
    pub(crate) async fn intent(&self, id: &str) -> Result<Intent, Failure> {
        self.send(&RetrievePaymentIntent::new(id), None).await
    }

    /// The session in which a payment was made, if it was made in one.
    pub(crate) async fn session_of(&self, intent: &str) -> Result<Option<Session>, Failure> {
        let request = ListCheckoutSession::new().payment_intent(intent);
        let sessions: List<Session> = self.send(&request, None).await?;
        Ok(sessions.data.into_iter().next())
    }

    /// The newest state of every subscription a customer has or had.
    pub(crate) async fn subscriptions(&self, customer: &str) -> Result<Vec<Subscription>, Failure> {
        let request = ListSubscription::new()
            .customer(customer)
            .status(ListSubscriptionStatus::All)
            .expand(["data.latest_invoice".to_owned()])
            .limit(100);
        let subscriptions: List<Subscription> = self.send(&request, None).await?;
        Ok(subscriptions.data)
    }

    /// Sends a request until it is answered or refused, a bounded number of times. A request that
    /// makes something needs a `key`, so that sending it again does not make another one.
    ///
    /// When call after call fails Stripe is left alone for a while.
    async fn send<T: miniserde::Deserialize + Send>(
        &self,
        request: &(impl StripeRequest + Sync),
        key: Option<String>,
    ) -> Result<T, Failure> {
        self.breaker.enter(Instant::now()).map_err(|rest| {
            Failure::Unavailable(format!("it failed too often, next try in {} s", rest.as_secs()))
        })?;
        let answer = self.insist(request, key).await;
        match &answer {
            Err(Failure::Unavailable(_)) => self.breaker.failed(Instant::now()),
            Ok(_) | Err(Failure::Refused { .. }) => self.breaker.succeeded(),
        }
        answer
    }

    async fn insist<T: miniserde::Deserialize + Send>(
        &self,
        request: &(impl StripeRequest + Sync),
        key: Option<String>,
    ) -> Result<T, Failure> {
        let strategy = match key {
            Some(key) => RequestStrategy::Idempotent(IdempotencyKey::new(key)?),
            None => RequestStrategy::Once,
        };
        let attempt = || async {
            let request = request.build().customize().request_strategy(strategy.clone());
            Ok(request.send(&self.client).await?)
        };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_times(3)
            .with_jitter();
        attempt.retry(pauses).when(Failure::may_pass).await
    }
}
