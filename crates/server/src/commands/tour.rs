//! `slipway tour`: the product's story, over public HTTP only.

mod http;
mod story;

use anyhow::Context;

use crate::{Running, Settings, output};

use http::Http;

/// Where to play it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A running product. Without it, one on this machine is used, or started for the tour.
    #[arg(long)]
    url: Option<String>,

    /// Its development mailbox.
    #[arg(long)]
    mailbox: Option<String>,
}

/// Plays the story; the error names the step that failed.
pub async fn run(settings: Settings, options: Options) -> anyhow::Result<()> {
    let local = format!("http://127.0.0.1:{}", settings.port);
    let beside = |port: u16| format!("http://127.0.0.1:{}", port.saturating_add(30));
    let running_at = match options.url {
        Some(url) => Some(url),
        None if Http::new(&local)?.answers().await => Some(local),
        None => None,
    };
    if let Some(url) = running_at {
        let mailbox = options.mailbox.unwrap_or_else(|| beside(settings.port));
        return story::tell(&Http::new(&url)?, &Http::new(&mailbox)?).await;
    }

    output::line("Nothing is running here yet, so the tour starts the product for itself.\n");
    let running = Box::pin(Running::start(settings)).await?;
    let address = running.address.context("the tour needs the API; let ROLES include api")?;
    let url = format!("http://{address}");
    let companions = running.companions();
    let mailbox = companions.into_iter().find(|(name, _)| *name == "Mailbox");
    let (_, mailbox) = mailbox.context("the tour needs the development mailbox; unset SMTP_URL")?;
    let told = story::tell(&Http::new(&url)?, &Http::new(&mailbox)?).await;
    running.stop().await?;
    told
}
