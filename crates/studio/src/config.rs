/// How long what people have models make is kept.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Days for which creations are kept after they were ordered, and conversations after their last message.
    #[arg(long, env, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub studio_kept_days: u16,
}
