//! Whether the CDN asks this deployment for what it lacks, with the whole link.

use anyhow::{Context as _, bail};
use serde_json::Value;
use storage::Storage;

use super::{Context, Group::Features as Here, Line};
use crate::product;

pub(super) async fn check(context: &Context<'_>) -> Option<Line> {
    let (settings, product) = (context.settings, context.product);
    settings.assets.cdn_url.as_ref()?;
    let outcome = async {
        let storage = Storage::open(&settings.storage)?;
        let assets = product::assets(settings, &product.db, &product.clock, storage);
        let link = assets.link_to_nothing().context("a link cannot be signed")?;
        let answer = context.http.get(link).send().await.context("CDN_URL does not answer")?;
        let status = answer.status();
        let problem: Value = answer.json().await.unwrap_or_default();
        match problem["code"].as_str() {
            // Nobody else knows that the link is right, and that there is no such file.
            Some("asset_not_found") => Ok("a signed link arrives whole".to_owned()),
            Some("invalid_link") => bail!("links arrive without their query, or changed"),
            _ => bail!("it answers {status}, and not what this API does"),
        }
    };
    let action = "Let the CDN ask APP_URL for what it lacks, and pass the query on.";
    Some(Here.judge("CDN", outcome.await, action))
}
