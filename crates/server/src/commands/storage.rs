//! `slipway storage`.

use anyhow::Context;
use clap::Subcommand;
use storage::rules;

use crate::{Settings, output};

/// What the bucket has to be told.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Action {
    /// Print the rights that the key of the bucket needs (an IAM policy).
    Policy,
    /// Print which pages may use the bucket from a browser: those of `CORS_ORIGINS`.
    Cors,
    /// Print what the bucket removes by itself.
    Lifecycle,
}

/// Prints it.
pub fn run(settings: &Settings, action: Action) -> anyhow::Result<()> {
    let rules = match action {
        Action::Policy => {
            let bucket = settings.storage.s3_bucket.as_deref();
            rules::policy(bucket.context("S3_BUCKET is not set: a directory needs no rights")?)
        }
        Action::Cors => {
            let origins = settings.cors_origins.iter();
            let origins: Result<Vec<_>, _> =
                origins.map(|it| it.0.to_str().map(str::to_owned)).collect();
            let origins = origins?;
            anyhow::ensure!(!origins.is_empty(), "CORS_ORIGINS is not set: name the pages there");
            rules::cors(&origins)
        }
        Action::Lifecycle => rules::lifecycle(),
    };
    output::line(&serde_json::to_string_pretty(&rules)?);
    Ok(())
}
