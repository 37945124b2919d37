use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use crate::BIN_DIR_VARIABLE;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no server, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory that must be private belongs to somebody else.
    #[error("{} is not a directory of this user; remove it and start again", .0.display())]
    Foreign(PathBuf),
    /// A program cannot be run.
    #[error("cannot run {}: {source}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configured directory has no usable PostgreSQL.
    #[error(
        "{} has no PostgreSQL 15 or newer (the programs postgres and initdb); \
         correct or remove {BIN_DIR_VARIABLE}",
        .0.display()
    )]
    BinDir(PathBuf),
    /// The data directory belongs to a major version that is not installed.
    #[error(
        "{} was made by PostgreSQL {made_by}, but only {found} was found; \
         install PostgreSQL {made_by}, name its programs with {BIN_DIR_VARIABLE}, \
         or remove the directory and lose its data",
        data.display()
    )]
    OtherMajor {
        /// The data directory.
        data: PathBuf,
        /// The major version that made it.
        made_by: String,
        /// The major versions at hand.
        found: String,
    },
    /// No PostgreSQL that fits is installed and none could be fetched.
    #[error(
        "no PostgreSQL that fits is installed, and fetching one {reason}. Install 15 or newer \
         (Debian, Ubuntu: apt install postgresql; Alpine: apk add postgresql; \
         macOS: brew install postgresql@17), name the directory of its programs with \
         {BIN_DIR_VARIABLE}, or name a registry within reach with npm_config_registry"
    )]
    Fetch {
        /// What went wrong, continuing the sentence.
        reason: String,
    },
    /// PostgreSQL refuses to run as root, and root cannot be dropped.
    #[error(
        "PostgreSQL does not run as root: user {uid} cannot enter {}, and user namespaces are not \
         to be had here ({source}). Run as an ordinary user, or move the data to a directory \
         everybody may enter",
        unreachable.display()
    )]
    Root {
        /// The unprivileged user that was considered.
        uid: u32,
        /// The first directory that user cannot enter.
        unreachable: PathBuf,
        /// Why there is no user namespace.
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// The server ended while it was starting.
    #[error("PostgreSQL ended while starting ({status}): {log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it logged.
        log: String,
    },
    /// Something took too long.
    #[error("waited {} s in vain for {what}", limit.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// The server refuses the administrator's connection or statement.
    #[error("PostgreSQL runs but does not serve: {0}")]
    Database(#[from] sqlx::Error),
}

/// Names the file an operation failed on.
pub(crate) trait At<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::File { path: path.into(), source })
    }
}
