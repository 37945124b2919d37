use sqlx::postgres::PgConnectOptions;

use crate::Settings;

/// Built without simulators the program starts nothing for itself: everything is configured.
pub struct Development;

#[expect(clippy::unused_async, reason = "as where there is something to start")]
impl Development {
    /// Starts nothing.
    pub async fn start(_settings: &mut Settings, _lasting: bool) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// Starts nothing.
    pub async fn database_only(_settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// Starts nothing.
    pub async fn beside(_settings: &mut Settings) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// None was started.
    pub fn database(&self) -> Option<PgConnectOptions> {
        None
    }

    /// Nothing was started.
    pub fn companions(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Has nothing to stop.
    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(())
    }
}
