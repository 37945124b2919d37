use std::{
    env,
    fs::{self, DirBuilder, File, TryLockError},
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{Result, error::At as _, poll::poll};

const SOCKET: &str = ".s.PGSQL.5432";
/// The kernel's address structure holds 108 bytes on Linux and 104 on macOS.
const SOCKET_PATH_LIMIT: usize = 100;
/// Whoever holds a lock may be fetching a PostgreSQL.
const LOCK_LIMIT: Duration = Duration::from_mins(10);

/// The files of one server.
#[derive(Debug)]
pub(crate) struct Dirs {
    pub(crate) root: PathBuf,
    pub(crate) sockets: PathBuf,
}

impl Dirs {
    pub(crate) fn create(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).at(root)?;
        let root = root.canonicalize().at(root)?;
        let run = root.join("run");
        DirBuilder::new().recursive(true).mode(0o700).create(&run).at(&run)?;
        let sockets = match run.join(SOCKET).as_os_str().len() {
            ..=SOCKET_PATH_LIMIT => run,
            _ => env::temp_dir().join(short_name(&root)),
        };
        Ok(Self { root, sockets })
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Becomes the data directory once it is complete.
    pub(crate) fn unfinished_data(&self) -> PathBuf {
        self.root.join("data.new")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.sockets.join(SOCKET)
    }

    pub(crate) fn socket_lock(&self) -> PathBuf {
        self.sockets.join(format!("{SOCKET}.lock"))
    }

    /// The pipe every user of the server holds open.
    pub(crate) fn users(&self) -> PathBuf {
        self.root.join("run/users")
    }

    /// Exists while the watchdog ends the server.
    pub(crate) fn closing(&self) -> PathBuf {
        self.root.join("run/closing")
    }

    /// Only one process at a time starts the server.
    pub(crate) async fn lock(&self) -> Result<File> {
        lock(&self.root.join("lock")).await
    }
}

/// Locks a file until the handle is dropped or its process ends.
pub(crate) async fn lock(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path).at(path)?;
    let what = format!("another process to release {}", path.display());
    poll(&what, LOCK_LIMIT, || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).at(path),
    })
    .await?;
    Ok(file)
}

fn short_name(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_bytes());
    format!("slipway-{}", BASE64_URL_SAFE_NO_PAD.encode(&digest[..12]))
}
