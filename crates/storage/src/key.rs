use std::fmt;

use kernel::{Id, Org, User};
use object_store::path::Path;
use uuid::Uuid;

/// Names an object. Made of our own ids only, never of text that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Path);

impl Key {
    /// The object `id` among those of one `kind`, such as `avatars`, of `org`.
    pub fn new<T>(org: Id<Org>, kind: &'static str, id: Id<T>) -> Self {
        Self(Path::from_iter(["orgs", &org.to_string(), kind, &id.to_string()]))
    }

    /// The object `id` among those of one `kind` of a person: their own, not what they work on in an org.
    pub fn of_person<T>(user: Id<User>, kind: &'static str, id: Id<T>) -> Self {
        Self(Self::all_of_person(user).0.join(kind).join(id.to_string()))
    }

    /// The platform's own object `name` among those of one `kind`, such as `backups`.
    pub fn platform(kind: &'static str, name: &str) -> Self {
        Self(Self::folder(kind).join(name))
    }

    /// Where the platform's objects of one `kind` are.
    pub(crate) fn folder(kind: &'static str) -> Path {
        Path::from_iter(["platform", kind])
    }

    /// Part `number` of what this names. Parts are listed in their order.
    #[must_use]
    pub fn part(&self, number: u32) -> Self {
        Self(self.0.clone().join(format!("{number:05}")))
    }

    /// The number of the part that this names, if it names one.
    pub fn number(&self) -> Option<u32> {
        let parts: Vec<_> = self.0.parts().collect();
        parts.get(4)?.as_ref().parse().ok()
    }

    /// Everything that any org has.
    pub fn all_orgs() -> Self {
        Self(Path::from("orgs"))
    }

    /// Everything that `org` has.
    pub fn all_of(org: Id<Org>) -> Self {
        Self(Path::from_iter(["orgs", &org.to_string()]))
    }

    /// Everything that is a person's own.
    pub fn all_of_person(user: Id<User>) -> Self {
        Self(Path::from_iter(["people", &user.to_string()]))
    }

    /// Its name among the objects of its org or person, such as `avatars/0198c3f0-…`.
    pub fn local_name(&self) -> String {
        let parts = self.0.parts().skip(2).map(|part| part.as_ref().to_owned());
        parts.collect::<Vec<_>>().join("/")
    }

    /// What it names: the org, the kind and the id.
    pub fn names(&self) -> Option<(Id<Org>, String, Uuid)> {
        let parts: Vec<_> = self.0.parts().collect();
        let [orgs, org, kind, id, ..] = parts.as_slice() else { return None };
        let ours = orgs.as_ref() == "orgs";
        let (org, id) = (Uuid::parse_str(org.as_ref()).ok()?, Uuid::parse_str(id.as_ref()).ok()?);
        ours.then(|| (org.into(), kind.as_ref().to_owned(), id))
    }

    /// An object of nobody, to try the storage with.
    pub(crate) fn probe() -> Self {
        Self(Path::from_iter(["probes", &Uuid::now_v7().to_string()]))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl From<Path> for Key {
    fn from(path: Path) -> Self {
        Self(path)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
