//! Prompts that an org has ready, with places for what differs from time to time.

mod routes;
mod template;
mod variable;

pub(crate) use routes::routes;
pub(crate) use template::{Template, TemplateVersion};
