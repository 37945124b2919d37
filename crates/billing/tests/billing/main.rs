//! Selling against a Stripe that misbehaves, through the API.

mod account;
mod buying;
mod catalogue;
mod changes;
mod coupons;
mod events;
mod mode;
mod plans;
mod states;
mod support;
mod trouble;
mod webhooks;
