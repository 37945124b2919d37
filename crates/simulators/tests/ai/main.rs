//! The AI provider as its clients see it.

mod anthropic;
mod faults;
mod models;
mod streams;
mod support;
mod wire;
