/// How long things last.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Days for which a deleted project can be restored.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u16).range(..=365))]
    pub projects_grace_days: u16,

    /// Days for which an archive of a project can be downloaded.
    #[arg(long, env, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=30))]
    pub projects_export_days: u16,
}
