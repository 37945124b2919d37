//! The AI provider as its clients see it.

mod faults;
mod models;
mod streams;
mod support;
mod wire;
