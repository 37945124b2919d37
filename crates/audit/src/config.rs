/// How long it is known who did what.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Months for which the audit log is kept.
    #[arg(long, env, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
    pub audit_retention_months: u32,
}
