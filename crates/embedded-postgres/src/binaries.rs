use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::{Config, Error, Result, dirs::Dirs, error::At as _, fetch};

/// What the SQL of the application needs.
const OLDEST: u32 = 15;

/// Where packages put the programs: a directory, the beginning of the names in it, and the way on
/// from there.
const PLACES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The programs of one PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) dir: PathBuf,
    pub(crate) major: u32,
}

impl Binaries {
    /// Those that made the data, or else the newest.
    pub(crate) async fn choose(config: &Config, dirs: &Dirs) -> Result<Self> {
        let made_by = data_version(&dirs.data())?;
        let found = match &config.bin_dir {
            Some(dir) => vec![Self::usable(dir).await.ok_or_else(|| Error::BinDir(dir.clone()))?],
            None => Self::installed().await,
        };
        let fits =
            |found: &&Self| made_by.as_ref().is_none_or(|major| *major == found.major.to_string());
        if let Some(newest) = found.iter().filter(fits).max_by_key(|found| found.major) {
            return Ok(newest.clone());
        }
        match made_by {
            Some(made_by) if config.bin_dir.is_some() || made_by != fetch::MAJOR.to_string() => {
                Err(Error::OtherMajor { data: dirs.data(), made_by, found: majors(&found) })
            }
            _ => Ok(Self { dir: fetch::build().await?, major: fetch::MAJOR }),
        }
    }

    async fn installed() -> Vec<Self> {
        let mut found = Vec::new();
        for dir in candidates() {
            found.extend(Self::usable(&dir).await);
        }
        found
    }

    async fn usable(dir: &Path) -> Option<Self> {
        let dir = dir.canonicalize().ok()?;
        if !dir.join("initdb").is_file() {
            return None;
        }
        let version = Command::new(dir.join("postgres")).arg("--version").output().await.ok()?;
        let major = major(&String::from_utf8_lossy(&version.stdout))?;
        (major >= OLDEST).then_some(Self { dir, major })
    }
}

/// On the path and where packages install, links resolved, each once.
fn candidates() -> BTreeSet<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|dir| dir.join("postgres"));
    let packaged = PLACES.iter().flat_map(|(parent, prefix, tail)| {
        fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(move |entry| entry.path().join(tail).join("postgres"))
    });
    on_path
        .chain(packaged)
        .filter_map(|program| Some(program.canonicalize().ok()?.parent()?.to_path_buf()))
        .collect()
}

/// The major version of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The major version that made the data, if there is any.
fn data_version(data: &Path) -> Result<Option<String>> {
    if !data.exists() {
        return Ok(None);
    }
    let file = data.join("PG_VERSION");
    let version = fs::read_to_string(&file).at(file)?;
    Ok(Some(version.trim().to_owned()))
}

fn majors(found: &[Binaries]) -> String {
    match found {
        [] => "no PostgreSQL".to_owned(),
        found => {
            let majors: Vec<_> = found.iter().map(|found| found.major.to_string()).collect();
            format!("PostgreSQL {}", majors.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read_from_what_packagers_print() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 17.10\n"), Some(17));
        assert_eq!(major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(major("postgres: command not found\n"), None);
    }
}
