//! Whether somebody is told when something is wrong.

use anyhow::bail;

use super::{Context, Group::Services as Here, Line, Trial};

pub(super) async fn check(context: &Context<'_>) -> Line {
    let alerts = &context.settings.alerts;
    let channels = [
        (!alerts.alert_emails.is_empty(), "mail"),
        (alerts.alert_slack_url.is_some(), "Slack"),
        (alerts.alert_webhook_url.is_some(), "webhook"),
    ];
    let set: Vec<&str> = channels.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    if set.is_empty() {
        let action = "Set ALERT_EMAILS, ALERT_SLACK_URL or ALERT_WEBHOOK_URL (docs/alerts.md).";
        return Here.fail("alerts", "nobody is told", action);
    }
    if !context.options.send.contains(&Trial::Alert) {
        return Here.pass("alerts", format!("by {}; --send=alert tries them", set.join(", ")));
    }
    let outcome = async {
        let trials = context.product.alerts.try_channels().await?;
        if let Some(failed) = trials.iter().find(|trial| !trial.delivered) {
            bail!("by {}: {}", failed.channel, failed.error.as_deref().unwrap_or("not taken"));
        }
        anyhow::Ok(format!("a test alert was handed to {}; a mail is sent soon", set.join(", ")))
    };
    Here.judge("alerts", outcome.await, "See whether the channel's URL is right and public.")
}
