use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use futures::future::join_all;
use usage::{Model, ModelKind};

use crate::{Config, provider::Provider, upstream::Upstream};

/// Every provider that is configured, the preferred first.
#[derive(Clone, Debug)]
pub(crate) struct Providers(Arc<[Provider]>);

impl Providers {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let first_byte = Duration::from_secs(config.ai_first_byte_seconds);
        let upstream = Upstream::new().context("make the HTTP client of the AI providers")?;
        let configured = config.providers().map_err(anyhow::Error::msg)?;
        let providers = configured.iter().map(|it| Provider::new(it, upstream.clone(), first_byte));
        Ok(Self(providers.collect()))
    }

    /// Whether any makes batches of its own.
    pub(crate) fn have_batches(&self) -> bool {
        self.0.iter().any(|provider| provider.has_batches)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.name == name)
    }

    /// The model called `name`, or `provider/name`, among `models`.
    pub(crate) fn find<'a>(
        &self,
        models: &'a [Model],
        name: &str,
        kind: ModelKind,
    ) -> Option<&'a Model> {
        let served = |by: &Provider, name: &str| {
            models.iter().find(|it| it.provider == by.name && it.name == name && it.kind == kind)
        };
        let anywhere = self.0.iter().find_map(|provider| served(provider, name));
        anywhere.or_else(|| {
            let (provider, name) = name.split_once('/')?;
            served(self.get(provider)?, name)
        })
    }

    /// Whether all answer and accept a key.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let checks = join_all(self.0.iter().map(Provider::check)).await;
        let broken: Vec<String> =
            checks.into_iter().filter_map(|it| Some(format!("{:#}", it.err()?))).collect();
        if !broken.is_empty() {
            bail!("{}", broken.join("; "));
        }
        Ok(())
    }
}
