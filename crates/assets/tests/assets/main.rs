//! Files of orgs, over HTTP, in a directory and in a bucket.

mod content;
mod downloads;
mod links;
mod outages;
mod quotas;
mod support;
mod sweeps;
mod uploads;
