//! Selling against a Stripe that misbehaves, through the API.

mod account;
mod buying;
mod catalogue;
mod changes;
mod closing;
mod coupons;
mod disputes;
mod euros;
mod events;
mod failures;
mod inbox;
mod margins;
mod mode;
mod months;
mod overage;
mod plans;
mod receipts;
mod reconciliation;
mod recurring;
mod renewals;
mod returns;
mod states;
mod support;
mod trouble;
mod upgrades;
mod webhooks;
