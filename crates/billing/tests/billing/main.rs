//! Selling against a Stripe that misbehaves, through the API.

mod buying;
mod events;
mod plans;
mod support;
mod trouble;
mod webhooks;
