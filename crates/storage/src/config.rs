use std::path::PathBuf;

/// Where files are kept.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Directory for files; must be on a disk that outlives the machine, and shared by all instances.
    #[arg(long, env, default_value = ".data/storage")]
    pub storage_dir: PathBuf,

    /// Bytes that one file may have.
    #[arg(long, env, default_value_t = 25 * 1024 * 1024)]
    pub storage_max_object_bytes: u64,
}
