use std::{env, path::PathBuf, time::Duration};

/// The environment variable that names the directory of the PostgreSQL programs.
pub const BIN_DIR_VARIABLE: &str = "POSTGRES_BIN_DIR";

/// Where a server lives and how it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds everything the server writes: the data, the log, the socket.
    pub root: PathBuf,
    /// The directory with `postgres` and `initdb`. Without it they are searched for and, as a last
    /// resort, fetched.
    pub bin_dir: Option<PathBuf>,
    /// Whether committed data survives a crash of the machine. Tests do without and are faster.
    pub durable: bool,
    /// How many connections the server accepts.
    pub max_connections: u16,
    /// How long the server outlives its last user, in whole seconds, so that test binaries which
    /// run one after the other share it.
    pub grace: Duration,
    /// Settings of the server beside those it is started with here; they win.
    pub settings: Vec<(&'static str, &'static str)>,
}

impl Config {
    /// A durable server in `root` that ends with its last user.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            bin_dir: env::var_os(BIN_DIR_VARIABLE).filter(|dir| !dir.is_empty()).map(Into::into),
            durable: true,
            max_connections: 100,
            grace: Duration::ZERO,
            settings: Vec::new(),
        }
    }
}
