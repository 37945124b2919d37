use kernel::Environment;
use url::Url;

/// What files orgs may keep, and from where they are read.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Types of files that may be uploaded. Those that a browser might run are only ever downloaded.
    #[arg(
        long,
        env,
        value_delimiter = ',',
        default_value = "image/jpeg,image/png,image/gif,image/webp,\
        application/pdf,text/plain,text/csv,application/json,application/zip,video/mp4,video/webm,\
        audio/mpeg,audio/wav"
    )]
    pub asset_types: Vec<String>,

    /// Bytes that an image may have.
    #[arg(long, env, default_value_t = 20 * 1024 * 1024)]
    pub asset_image_bytes: u64,

    /// Pixels that an image may have, or each frame of it.
    #[arg(long, env, default_value_t = 40_000_000)]
    pub asset_image_pixels: u64,

    /// Pixels that the longer side of a photo is kept with: larger JPEG and PNG files are made smaller before they
    /// are kept. Unset: they are kept as they come.
    #[arg(long, env, value_parser = clap::value_parser!(u32).range(64..=20_000))]
    pub asset_image_side: Option<u32>,

    /// Where a CDN stands that gets what it lacks from this API. Signed links lead there.
    #[arg(long, env)]
    pub cdn_url: Option<Url>,
}

impl Config {
    /// What is wrong with it.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = Vec::new();
        let Some(url) = &self.cdn_url else { return problems };
        if environment.is_production() && url.scheme() != "https" {
            problems.push("CDN_URL must be https in production".to_owned());
        }
        if url.path() != "/" || url.query().is_some() {
            problems.push("CDN_URL must be an origin, as in https://cdn.example.com".to_owned());
        }
        problems
    }
}
