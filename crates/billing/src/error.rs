use axum::http::StatusCode;
use web::Problem;

use crate::{ChangeRefused, CouponRefused, InvalidCatalogue, stripe::Failure};

/// What this crate's operations return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be bought, shown or applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are no keys for Stripe.
    #[error("payments are not set up here")]
    NotConfigured,
    /// Payments are switched off.
    #[error("nothing is sold here: everything is free")]
    Free,
    /// Not in the catalogue.
    #[error("there is no item {item} to buy")]
    UnknownItem {
        /// What was asked for.
        item: String,
    },
    /// No such checkout in this org.
    #[error("there is no such checkout session")]
    NoSuchCheckout,
    /// A coupon gives nothing.
    #[error(transparent)]
    Coupon(#[from] CouponRefused),
    /// The subscription was not changed.
    #[error(transparent)]
    Change(#[from] ChangeRefused),
    /// No such invoice of this org.
    #[error("there is no such invoice")]
    NoSuchInvoice,
    /// Stripe does not take what should stand on invoices.
    #[error("these billing details are not accepted: {reason}")]
    DetailsRefused {
        /// Why, in Stripe's words.
        reason: String,
    },
    /// The org never had a subscription.
    #[error("this organization has no subscription")]
    NotSubscribed,
    /// One subscription per org.
    #[error("this organization has a subscription already")]
    AlreadySubscribed,
    /// A payment is on its way, and its outcome decides.
    #[error("another purchase of this kind is just being paid")]
    CheckoutInProgress,
    /// No such payment.
    #[error("there is no such payment")]
    NoSuchPayment,
    /// More than what is left of the payment, or nothing.
    #[error("{left} of this payment can still be refunded, in the smallest unit of its currency")]
    RefundTooLarge {
        /// What can be.
        left: i64,
    },
    /// Stripe will not do it.
    #[error("the payment provider does not refund this: {reason}")]
    RefundRefused {
        /// Why, in Stripe's words.
        reason: String,
    },
    /// The same Idempotency-Key with another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// No such event in the inbox.
    #[error("there is no such event")]
    NoSuchEvent,
    /// The body of a webhook, or its signature, is not Stripe's.
    #[error("this is not an event that Stripe sent us: {0}")]
    NotAnEvent(&'static str),
    /// Others keep taking over the customer's state.
    #[error("the customer's state changes faster than it can be read")]
    Contended,
    /// Stripe sent an object that contradicts its documentation.
    #[error("Stripe's {0} cannot be understood")]
    Incomprehensible(String),
    /// A catalogue breaks a rule.
    #[error(transparent)]
    Catalogue(#[from] InvalidCatalogue),
    /// Somebody else was faster.
    #[error("{}", .0.detail)]
    Stale(Problem),
    /// A call to Stripe failed.
    #[error(transparent)]
    Stripe(#[from] Failure),
    /// Postgres failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::NotConfigured => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "billing_not_configured", detail)
                    .retry_after(60)
                    .action("Ask the operator to set STRIPE_SECRET_KEY, or BILLING_MODE=free if nothing is sold.")
            }
            Error::Free => Self::new(StatusCode::SERVICE_UNAVAILABLE, "billing_is_free", detail)
                .action("There is nothing to pay. An operator can give credits or a plan."),
            Error::UnknownItem { .. } => Self::unprocessable("unknown_item", detail)
                .action("See GET /v1/plans and GET /v1/packs for what can be bought."),
            Error::NoSuchCheckout => Self::not_found("no_such_checkout_session", detail),
            Error::Coupon(refused) => refused.into(),
            Error::Change(refused) => refused.into(),
            Error::NoSuchInvoice => Self::not_found("no_such_invoice", detail),
            Error::DetailsRefused { .. } => Self::unprocessable("billing_details_refused", detail)
                .action("Correct what is named and send it again."),
            Error::NotSubscribed => Self::not_found("not_subscribed", detail)
                .action("Buy a plan with POST /v1/billing/checkout-sessions."),
            Error::AlreadySubscribed => Self::conflict("already_subscribed", detail)
                .action("Change it with PATCH /v1/billing/subscription; GET shows how it stands."),
            Error::CheckoutInProgress => Self::conflict("checkout_in_progress", detail)
                .action("Wait until that payment has gone through or failed, then try again."),
            Error::NoSuchPayment => Self::not_found("no_such_payment", detail)
                .action("See GET /admin/v1/billing/orgs/{id}/timeline for the org's payments."),
            Error::RefundTooLarge { .. } => {
                Self::conflict("refund_too_large", detail).action("Refund at most what is left.")
            }
            Error::RefundRefused { .. } => Self::conflict("refund_refused", detail)
                .action("Look at the payment in Stripe's dashboard."),
            Error::KeyReused => Self::unprocessable("idempotency_key_reused", detail)
                .action("Use a new key for a new request."),
            Error::NoSuchEvent => {
                Self::not_found("no_such_event", detail).action("See GET /admin/v1/billing/events.")
            }
            Error::NotAnEvent(_) => Self::bad_request("invalid_event", detail)
                .action("Check that STRIPE_WEBHOOK_SECRET is the secret of this very endpoint."),
            Error::Catalogue(_) => Self::unprocessable("invalid_catalogue", detail)
                .action("Read GET /admin/v1/catalogue, change what is named, and send it again."),
            Error::Stale(problem) => problem,
            Error::Stripe(failure) => failure.into(),
            Error::Contended | Error::Incomprehensible(_) => Self::internal(error),
            Error::Database(error) => error.into(),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let again = "Try again in a moment; you are not charged twice.";
        match failure {
            Failure::Unavailable(_) => {
                let detail = "the payment provider does not answer just now";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "payments_unavailable", detail)
                    .retry_after(5)
            }
            Failure::Refused { .. } => {
                let detail = "the payment provider did not accept our request";
                Self::new(StatusCode::BAD_GATEWAY, "payments_refused", detail)
            }
        }
        .action(again)
        .because(failure)
    }
}
