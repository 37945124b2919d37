//! Whether limits hold for all instances together, and for each client alone.

use super::{Context, Group::Environment as Here, Line};

pub(super) fn check(context: &Context<'_>) -> Vec<Line> {
    let settings = context.settings;
    let shared = if settings.rate_limit.redis_url.is_some() {
        Here.pass("shared limits", "counted in Redis")
    } else {
        let found = "each instance gives away its share of every limit";
        Here.warn("shared limits", found, "Set REDIS_URL if there is more than one instance.")
    };
    let local = settings.storage.s3_bucket.is_none();
    let files = if local {
        let found = "in a directory, which one machine has";
        Here.warn("files", found, "Set S3_BUCKET if there is more than one machine.")
    } else {
        Here.pass("files", "in a bucket, which all machines share")
    };
    let alone = settings.app_env.is_production() && settings.trusted_proxies == 0;
    let proxies = if alone {
        Here.warn(
            "proxies",
            "TRUSTED_PROXIES is 0, so everybody behind a proxy is one client",
            "Set it to the number of proxies before Slipway; GET /v1/sessions must show your own address.",
        )
    } else {
        Here.pass("proxies", format!("{} are trusted", settings.trusted_proxies))
    };
    vec![shared, files, proxies]
}
