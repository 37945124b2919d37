//! The Stripe simulator, spoken to as a product would.

mod api;
mod checkout;
mod client;
mod faults;
mod idempotency;
mod refunds;
mod shapes;
mod subscriptions;
mod support;
mod webhooks;
