use std::path::PathBuf;

use chrono::TimeDelta;
use kernel::Environment;
use secrecy::{ExposeSecret, SecretString};

/// Whether backups are made, how often, and for how long they are kept.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// What backups are encrypted with: at least 32 random bytes. Without it none are made. Keep a copy away from the
    /// deployment: without it no backup can be read.
    #[arg(long, env, hide_env_values = true)]
    pub backup_key: Option<SecretString>,

    /// The key before, with which older backups are read.
    #[arg(long, env, hide_env_values = true)]
    pub backup_key_previous: Option<SecretString>,

    /// Bucket for backups, reached with the other S3_ settings; must not be that of files. Let a lifecycle rule end
    /// uploads that were never finished.
    #[arg(long, env)]
    pub backup_bucket: Option<String>,

    /// Directory for backups, if there is no bucket; must be on another disk than the database.
    #[arg(long, env, default_value = ".data/backups")]
    pub backup_dir: PathBuf,

    /// Hours from one backup to the next: 1, 2, 3, 4, 6, 8, 12 or 24.
    #[arg(long, env, default_value_t = 24, value_parser = hours)]
    pub backup_every_hours: u8,

    /// Days for which a backup is kept.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    pub backup_keep_days: u16,

    /// How many backups are kept however old they are.
    #[arg(long, env, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    pub backup_keep_least: u16,

    /// The directory of `pg_dump` and `pg_restore`. Unset, they are looked for where packages put them.
    #[arg(long, env)]
    pub backup_bin_dir: Option<PathBuf>,
}

fn hours(text: &str) -> Result<u8, String> {
    let hours = text.parse().ok().filter(|hours| *hours > 0 && 24_u8.is_multiple_of(*hours));
    hours.ok_or_else(|| "a day must be a multiple of it: 1, 2, 3, 4, 6, 8, 12 or 24".to_owned())
}

impl Config {
    /// What is wrong, to be shown together with every other setting's errors.
    pub fn problems(&self, files: &storage::Config, environment: Environment) -> Vec<String> {
        let keys =
            [("BACKUP_KEY", &self.backup_key), ("BACKUP_KEY_PREVIOUS", &self.backup_key_previous)];
        let weak = |key: &Option<SecretString>| {
            key.as_ref().is_some_and(|key| sealing::is_weak(key.expose_secret()))
        };
        let weak = keys.into_iter().filter(|(_, key)| weak(key));
        let advice = "can be guessed: it needs at least 32 random bytes (openssl rand -base64 32)";
        let mut problems: Vec<_> = weak.map(|(name, _)| format!("{name} {advice}")).collect();
        if self.backup_bucket.is_some() {
            problems.extend(self.storage(files).problems(environment));
        }
        if self.backup_bucket.is_some() && self.backup_bucket == files.s3_bucket {
            problems.push("BACKUP_BUCKET must be another bucket than S3_BUCKET".to_owned());
        }
        problems
    }

    /// How long a backup is kept as long as newer ones are made; `None`: none are made.
    pub fn last(&self) -> Option<TimeDelta> {
        self.backup_key.as_ref().map(|_| TimeDelta::days(self.backup_keep_days.into()))
    }

    /// When backups are made. Not on the hour, when everybody does everything.
    pub(crate) fn cron(&self) -> String {
        match self.backup_every_hours {
            24 => "15 2 * * *".to_owned(),
            hours => format!("15 */{hours} * * *"),
        }
    }

    /// Where backups are, as the settings of files describe such places.
    pub(crate) fn storage(&self, files: &storage::Config) -> storage::Config {
        storage::Config {
            storage_dir: self.backup_dir.clone(),
            storage_max_object_bytes: u64::MAX,
            s3_bucket: self.backup_bucket.clone(),
            ..files.clone()
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &SecretString> {
        self.backup_key.iter().chain(&self.backup_key_previous)
    }
}
