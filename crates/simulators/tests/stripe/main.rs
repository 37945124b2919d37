//! The Stripe simulator, spoken to as a product would.

mod api;
mod checkout;
mod client;
mod discounts;
mod disputes;
mod documents;
mod faults;
mod idempotency;
mod previews;
mod refunds;
mod schedules;
mod shapes;
mod subscriptions;
mod support;
mod time;
mod webhooks;
