use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

type Probe = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// Something that must be true for the product to be healthy.
#[derive(Clone)]
pub struct Check {
    /// What is checked, such as `database`.
    pub name: &'static str,
    /// Whether the instance must not receive traffic while it fails.
    pub critical: bool,
    probe: Probe,
}

impl Check {
    /// A check without which nothing works.
    pub fn critical<F>(name: &'static str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self { name, critical: true, probe: Arc::new(move || Box::pin(probe())) }
    }

    /// A check whose failure degrades the product but leaves the rest working.
    pub fn degrading<F>(name: &'static str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self { critical: false, ..Self::critical(name, probe) }
    }

    /// Runs it; the error says what is wrong.
    pub async fn run(&self) -> anyhow::Result<()> {
        (self.probe)().await
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
