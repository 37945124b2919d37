//! The client against servers and resolvers that mean no good.

mod answers;
mod resolvers;
mod support;
