//! Files of an org: uploads that can be resumed, downloads, signed links, a quota that holds.
//!
//! An upload reserves its bytes, takes parts in any order, and becomes an asset when it is completed: its
//! parts are read once, checked, and written as one object. Parts are in the storage only, so that nothing
//! can disagree with it. See `docs/files.md`.

mod asset;
mod complete;
mod config;
mod content_type;
mod download;
mod erase;
mod error;
mod fit;
mod intake;
mod links;
mod name;
mod parts;
mod personal_data;
mod pictures;
mod range;
mod routes;
mod signature;
mod sweep;
mod thumbnail;
mod turns;
mod upload;
mod upload_routes;
mod usage;
mod webhook_events;

use std::sync::Arc;

use app::{EventType, Module};
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;
use secrecy::SecretString;
use storage::Storage;
use tokio::sync::Semaphore;
use url::Url;

pub use asset::Asset;
pub use config::Config;
pub use error::{Error, Result};
pub use upload::{Status, Upload};
pub use usage::{Difference, differences};

use erase::{ClearUpload, EraseAsset};
use signature::Signer;
use sweep::{ExpireUploads, RemoveOrphans};
use thumbnail::MakeThumbnail;
use turns::Turns;
use webhook_events::{AssetCreated, AssetDeleted};

/// How many pictures are in memory at once, for being cleaned.
const PICTURES_AT_ONCE: usize = 2;
/// How many parts and completions a process works on at once: each takes up to 10 MiB on its way into a bucket.
const TRANSFERS_AT_ONCE: usize = 64;

/// What this feature needs.
#[derive(Clone)]
pub struct Assets {
    db: Db,
    clock: Clock,
    storage: Storage,
    signer: Signer,
    /// Where we are reached.
    app_url: Url,
    config: Config,
    /// Pictures that are in memory at once.
    pictures: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    turns: Turns,
}

impl Assets {
    /// Keeps files in `storage`. Links are signed with the first of `secrets` and lead to `app_url`, or to the
    /// CDN in front of it.
    pub fn new<'a>(
        (db, clock): (Db, Clock),
        storage: Storage,
        secrets: impl IntoIterator<Item = &'a SecretString>,
        app_url: Url,
        config: &Config,
    ) -> Self {
        let (signer, config) = (Signer::new(secrets), config.clone());
        let pictures = Arc::new(Semaphore::new(PICTURES_AT_ONCE));
        let transfers = Arc::new(Semaphore::new(TRANSFERS_AT_ONCE));
        let turns = Turns::default();
        Self { db, clock, storage, signer, app_url, config, pictures, transfers, turns }
    }
}

/// Files as a part of the product.
pub fn module(assets: Assets) -> Module {
    let routes = routes::routes().merge(upload_routes::routes()).merge(links::routes());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes.with_state(assets.clone()),
        jobs: Registry::default()
            .with::<EraseAsset>(assets.clone())
            .with::<MakeThumbnail>(assets.clone())
            .with::<ClearUpload>(assets.clone())
            .with::<ExpireUploads>(assets.clone())
            .with::<RemoveOrphans>(assets),
        schedules: vec![
            Schedule::cron("*/10 * * * *", &ExpireUploads {}),
            Schedule::cron("41 2 * * *", &RemoveOrphans {}),
        ],
        events: vec![EventType::of::<AssetCreated>(), EventType::of::<AssetDeleted>()],
        ..Module::default()
    }
}
