//! The launch checklist as code: right on a deployment that has everything, and naming each thing that is broken.

mod breakages;
mod command;
mod world;
