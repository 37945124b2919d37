//! `slipway healthcheck`: for images, which have no curl.

use std::{net::IpAddr, time::Duration};

use anyhow::ensure;

use crate::Settings;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the API of this machine whether it is ready.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let host = match settings.listen_host() {
        any if any.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        host => host,
    };
    let url = format!("http://{}/health/ready", std::net::SocketAddr::from((host, settings.port)));
    let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build()?;
    let status = client.get(&url).send().await?.status();
    ensure!(status.is_success(), "{url} answered {status}");
    Ok(())
}
