//! The AI provider as its clients see it.

mod anthropic;
mod batches;
mod faults;
mod models;
mod streams;
mod support;
mod wire;
