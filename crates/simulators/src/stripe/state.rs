use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{checkout::Order, deliveries::Attempt, dunning::Dunning, idempotency::Recorded, shape};

/// Everything the simulator remembers, and the file it is kept in, if any.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(skip)]
    file: Option<PathBuf>,
    /// Ids are numbered, so that their order is the order of creation.
    sequence: u64,
    /// By kind, then by id.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// What each checkout session will do when it is paid.
    pub(super) orders: BTreeMap<String, Order>,
    /// Invoice lines that wait for the next invoice of a subscription.
    pub(super) prorations: BTreeMap<String, Vec<Value>>,
    /// The coupon of each discount, as it was when it was redeemed.
    #[serde(default)]
    pub(super) coupons: BTreeMap<String, Value>,
    /// What each webhook endpoint's events are signed with.
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
    /// Trials whose end was announced.
    #[serde(default)]
    pub(super) told: BTreeSet<String>,
    /// What becomes of subscriptions that nobody pays for.
    #[serde(default)]
    pub(super) dunning: Dunning,
    pub(super) idempotency: BTreeMap<String, Recorded>,
    pub(super) attempts: Vec<Attempt>,
}

impl State {
    pub(super) fn load(file: Option<PathBuf>) -> io::Result<Self> {
        let state = match file.as_deref().map(fs::read) {
            None => Self::default(),
            Some(Ok(saved)) => serde_json::from_slice(&saved)?,
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Some(Err(error)) => return Err(error),
        };
        Ok(Self { file, ..state })
    }

    /// Replaces the file in one step, so that a crash leaves the old state or the new one.
    pub(super) fn save(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        let draft = draft_of(file);
        fs::write(&draft, serde_json::to_vec(self)?)?;
        fs::rename(draft, file)
    }

    /// A new id: numbered, with a random end so that no two simulators ever give the same.
    pub(super) fn next_id(&mut self, prefix: &str) -> String {
        self.sequence += 1;
        let random = Alphanumeric.sample_string(&mut rand::rng(), 12);
        format!("{prefix}_{:08}{random}", self.sequence)
    }

    pub(super) fn get(&self, kind: &str, id: &str) -> Option<&Value> {
        self.objects.get(kind)?.get(id)
    }

    pub(super) fn get_mut(&mut self, kind: &str, id: &str) -> Option<&mut Value> {
        self.objects.get_mut(kind)?.get_mut(id)
    }

    pub(super) fn put(&mut self, object: Value) {
        let (kind, id) = (shape::text(&object, "object"), shape::text(&object, "id"));
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.objects.entry(kind).or_default().insert(id, object);
    }

    pub(super) fn remove(&mut self, kind: &str, id: &str) {
        if let Some(objects) = self.objects.get_mut(kind) {
            objects.remove(id);
        }
    }

    /// All objects of a kind, oldest first.
    pub(super) fn all(&self, kind: &str) -> impl DoubleEndedIterator<Item = &Value> {
        self.objects.get(kind).into_iter().flat_map(BTreeMap::values)
    }
}

fn draft_of(file: &Path) -> PathBuf {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    draft.into()
}
