use std::time::Duration;

use anyhow::Context;
use rusty_s3::{
    Bucket, Credentials, UrlStyle,
    actions::{GetObject, PutObject, S3Action},
};
use secrecy::ExposeSecret;
use url::Url;

use crate::{Config, Key, Labels};

/// Makes URLs with which somebody without a key of the bucket does one thing for some time.
pub(crate) struct Presigner {
    bucket: Bucket,
    credentials: Credentials,
}

impl Presigner {
    pub(crate) fn new(config: &Config, bucket: &str) -> anyhow::Result<Self> {
        let style = if config.s3_path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket =
            Bucket::new(config.endpoint()?, style, bucket.to_owned(), config.s3_region.clone())?;
        let key = config.s3_access_key_id.as_deref().context("S3_ACCESS_KEY_ID is not set")?;
        let secret = config.s3_secret_access_key.as_ref();
        let secret = secret.context("S3_SECRET_ACCESS_KEY is not set")?.expose_secret();
        Ok(Self { bucket, credentials: Credentials::new(key, secret) })
    }

    /// The store answers with `labels`, whatever it would say by itself.
    pub(crate) fn get(&self, key: &Key, labels: &Labels, life: Duration) -> Url {
        let path = key.path().to_string();
        let mut get = GetObject::new(&self.bucket, Some(&self.credentials), &path);
        let query = get.query_mut();
        query.insert("response-content-type", labels.content_type.as_str());
        query.insert("response-content-disposition", labels.content_disposition.as_str());
        get.sign(life)
    }

    /// The length is part of what is signed: the store refuses a body of another.
    pub(crate) fn put(&self, key: &Key, bytes: u64, life: Duration) -> Url {
        let path = key.path().to_string();
        let mut put = PutObject::new(&self.bucket, Some(&self.credentials), &path);
        put.headers_mut().insert("content-length", bytes.to_string());
        put.sign(life)
    }
}
