//! The programs of PostgreSQL that dump and restore.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, ensure};
use percent_encoding::percent_decode_str;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
};

use crate::Config;

/// Where packages put the programs: a directory, and the way on from each directory in it.
const PLACES: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];
/// Of what a program says is wrong, no more is kept.
const COMPLAINT: u64 = 8 * 1024;

/// `pg_dump` and `pg_restore` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tools {
    dir: PathBuf,
    pub(crate) major: u32,
}

impl Tools {
    /// Those of `needed`, the server's major version, or else the next newer ones that fit.
    pub(crate) async fn of(config: &Config, needed: u32) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        for dir in config.backup_bin_dir.clone().map_or_else(places, |dir| vec![dir]) {
            found.extend(Self::at(&dir).await);
        }
        let newest = found.iter().map(|it| it.major).max();
        let fitting = found.into_iter().filter(|it| fits(it.major, needed));
        fitting.min_by_key(|it| it.major).with_context(|| {
            let install = format!(
                "install the client programs of PostgreSQL {needed} (Debian: postgresql-client-{needed}), \
                 or name their directory in BACKUP_BIN_DIR"
            );
            match newest {
                None => format!("pg_dump and pg_restore are not to be found; {install}"),
                Some(newest) if newest < needed => format!(
                    "the server is PostgreSQL {needed}, but pg_dump is of version {newest} and cannot read newer \
                     ones; {install}"
                ),
                Some(newest) => format!(
                    "the server is PostgreSQL {needed}, which cannot take back what pg_dump of version {newest} \
                     makes; {install}"
                ),
            }
        })
    }

    async fn at(dir: &Path) -> Option<Self> {
        let mut versions = Vec::new();
        for program in ["pg_dump", "pg_restore"] {
            let output = Command::new(dir.join(program)).arg("--version").output().await.ok()?;
            versions.push(major(&String::from_utf8_lossy(&output.stdout))?);
        }
        let major = versions.into_iter().min()?;
        Some(Self { dir: dir.to_owned(), major })
    }

    /// One of the programs, connected to `address`. Ends when it is dropped.
    pub(crate) fn command(&self, program: &str, address: &PgConnectOptions) -> Command {
        let mut command = Command::new(self.dir.join(program));
        command.arg("--no-password").kill_on_drop(true).stderr(Stdio::piped());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        // Not by argument: every user of the machine sees those.
        command.envs(environment(address));
        command
    }
}

/// Whether programs of `major` make what a server of `needed` takes back. Older ones refuse to read it; from 17
/// on they set a parameter (`transaction_timeout`) that servers before do not know.
fn fits(major: u32, needed: u32) -> bool {
    major >= needed && (major < 17 || needed >= 17)
}

/// A program at work, and what it says is wrong.
pub(crate) struct Running {
    pub(crate) child: Child,
    complaint: JoinHandle<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.as_std().get_program().to_owned();
        let child = command.spawn();
        let mut child = child.with_context(|| format!("cannot run {}", program.display()))?;
        let complaint = child.stderr.take().context("it was given a pipe")?;
        Ok(Self { child, complaint: tokio::spawn(read_all(complaint)) })
    }

    /// Waits for its end; fails with what it said if it failed.
    pub(crate) async fn succeeded(mut self) -> anyhow::Result<()> {
        let status = self.child.wait().await?;
        let complaint = self.complaint.await.unwrap_or_default();
        ensure!(status.success(), "{status}: {}", complaint.trim());
        Ok(())
    }

    /// Ends it before it can finish what it does.
    pub(crate) async fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

async fn read_all(mut complaint: ChildStderr) -> String {
    let mut kept = Vec::new();
    // What cannot be read is not said; the rest is read so that the program does not wait.
    let _ = (&mut complaint).take(COMPLAINT).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut complaint, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// What the programs call the parts of an address.
fn environment(address: &PgConnectOptions) -> Vec<(&'static str, String)> {
    let socket = address.get_socket().map(|it| it.display().to_string());
    let mut environment = vec![
        ("PGHOST", socket.unwrap_or_else(|| address.get_host().to_owned())),
        ("PGPORT", address.get_port().to_string()),
        ("PGUSER", address.get_username().to_owned()),
        ("PGDATABASE", address.get_database().unwrap_or(address.get_username()).to_owned()),
        ("PGAPPNAME", "slipway backup".to_owned()),
        // They wait no longer than anybody should for a server that is gone.
        ("PGCONNECT_TIMEOUT", "10".to_owned()),
    ];
    // Neither the password nor the certificates can be asked for in another way.
    let url = address.to_url_lossy();
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    environment.extend(url.password().map(|it| ("PGPASSWORD", decoded(it))));
    for (name, variable) in [
        ("sslmode", "PGSSLMODE"),
        ("sslrootcert", "PGSSLROOTCERT"),
        ("sslcert", "PGSSLCERT"),
        ("sslkey", "PGSSLKEY"),
    ] {
        let value = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
        let path = |value: &str| value.strip_prefix("file: ").unwrap_or(value).to_owned();
        environment.extend(value.map(|value| (variable, path(&value))));
    }
    // Where we trust the usual authorities, they look for a file unless told so.
    if matches!(address.get_ssl_mode(), PgSslMode::VerifyFull)
        && !environment.iter().any(|(name, _)| *name == "PGSSLROOTCERT")
    {
        environment.push(("PGSSLROOTCERT", "system".to_owned()));
    }
    environment
}

/// On the path, and where packages install.
fn places() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let packaged = PLACES.iter().flat_map(|(parent, tail)| {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        entries.map(move |entry| entry.path().join(tail))
    });
    let places = env::split_paths(&path).chain(packaged);
    places.filter(|dir| dir.join("pg_dump").is_file()).collect()
}

/// The major version of `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{environment, fits, major};

    #[test]
    fn the_major_version_is_read_from_what_packagers_print() {
        assert_eq!(major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("pg_restore (PostgreSQL) 18.1\n"), Some(18));
        assert_eq!(major("pg_dump: command not found\n"), None);
    }

    #[test]
    fn programs_fit_whose_dumps_the_server_takes_back() {
        let fitting =
            |needed: u32| (14..=19).filter(|major| fits(*major, needed)).collect::<Vec<_>>();
        assert_eq!(fitting(15), [15, 16]);
        assert_eq!(fitting(16), [16]);
        assert_eq!(fitting(17), [17, 18, 19]);
    }

    #[test]
    fn an_address_is_told_whole_and_decoded() {
        let url = "postgres://ada:p%40ss%2Fword@db.example.com:6432/app?sslmode=verify-full&sslrootcert=/ca.pem";
        let environment = environment(&url.parse().unwrap());
        for told in [
            ("PGHOST", "db.example.com"),
            ("PGPORT", "6432"),
            ("PGUSER", "ada"),
            ("PGPASSWORD", "p@ss/word"),
            ("PGDATABASE", "app"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca.pem"),
        ] {
            assert!(
                environment.contains(&(told.0, told.1.to_owned())),
                "{told:?}: {environment:?}"
            );
        }
    }
}
