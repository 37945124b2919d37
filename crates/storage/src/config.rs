use std::path::PathBuf;

use kernel::Environment;
use secrecy::SecretString;
use url::Url;

/// Where files are kept: in a directory, or in a bucket if one is named.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Directory for files; must be on a disk that outlives the machine, and shared by all instances.
    #[arg(long, env, default_value = ".data/storage")]
    pub storage_dir: PathBuf,

    /// Bytes that one file may have.
    #[arg(long, env, default_value_t = 1024 * 1024 * 1024)]
    pub storage_max_object_bytes: u64,

    /// Bucket for files, of any store that speaks S3's protocol; the directory is not used then.
    #[arg(long, env)]
    pub s3_bucket: Option<String>,

    /// Address of the store, such as `https://minio.example.com`. AWS unless given.
    #[arg(long, env)]
    pub s3_endpoint: Option<Url>,

    /// Region of the bucket.
    #[arg(long, env, default_value = "us-east-1")]
    pub s3_region: String,

    /// Name of the key that may read, write, list and delete in the bucket.
    #[arg(long, env)]
    pub s3_access_key_id: Option<String>,

    /// Its secret.
    #[arg(long, env, hide_env_values = true)]
    pub s3_secret_access_key: Option<SecretString>,

    /// Whether the bucket is named in the path rather than in the host.
    #[arg(long, env, default_value_t = true, action = clap::ArgAction::Set)]
    pub s3_path_style: bool,
}

impl Config {
    /// What is wrong with it.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let mut problems = Vec::new();
        let keys = [
            ("S3_ACCESS_KEY_ID", self.s3_access_key_id.is_some()),
            ("S3_SECRET_ACCESS_KEY", self.s3_secret_access_key.is_some()),
        ];
        for (name, given) in keys {
            match (self.s3_bucket.is_some(), given) {
                (true, false) => problems.push(format!("{name} is required with S3_BUCKET")),
                (false, true) => problems.push(format!("{name} is of no use without S3_BUCKET")),
                _ => {}
            }
        }
        let secure = self.s3_endpoint.as_ref().is_none_or(|url| url.scheme() == "https");
        if environment.is_production() && !secure {
            problems.push("S3_ENDPOINT must be https in production".into());
        }
        problems
    }

    /// The address of the store, without the bucket.
    pub(crate) fn endpoint(&self) -> anyhow::Result<Url> {
        let aws = || format!("https://s3.{}.amazonaws.com", self.s3_region).parse();
        Ok(self.s3_endpoint.clone().map_or_else(aws, Ok)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use kernel::Environment;

    use super::Config;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        storage: Config,
    }

    fn problems(arguments: &[&str]) -> Vec<String> {
        let arguments = ["storage"].iter().chain(arguments);
        Program::parse_from(arguments).storage.problems(Environment::Production)
    }

    #[test]
    fn a_bucket_needs_a_key_and_a_key_a_bucket() {
        assert!(problems(&[]).is_empty());
        assert_eq!(problems(&["--s3-bucket", "b"]).len(), 2);
        assert_eq!(problems(&["--s3-access-key-id", "a"]).len(), 1);
        let whole = ["--s3-bucket", "b", "--s3-access-key-id", "a", "--s3-secret-access-key", "s"];
        assert!(problems(&whole).is_empty());
    }

    #[test]
    fn in_production_the_store_is_reached_by_https_only() {
        assert_eq!(problems(&["--s3-endpoint", "http://minio:9000"]).len(), 1);
        assert!(problems(&["--s3-endpoint", "https://minio"]).is_empty());
    }
}
