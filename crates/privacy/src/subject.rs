use app::{PersonalData, Rule};
use kernel::{Id, Org, User};
use sqlx::PgExecutor;
use storage::Key;
use uuid::Uuid;

/// Whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Person(Id<User>),
    Org(Id<Org>),
}

impl Subject {
    /// What rules call `$1`.
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Person(user) => user.uuid(),
            Self::Org(org) => org.uuid(),
        }
    }

    /// Whether there is such a person or org, or was one before an erasure.
    pub(crate) async fn exists(self, db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"select exists (select from users where id = $1 and $2)
                   or exists (select from orgs where id = $1 and not $2) as "exists!""#,
            self.id(),
            matches!(self, Self::Person(_)),
        )
        .fetch_one(db)
        .await
    }

    /// What of a table is theirs.
    pub(crate) fn rule(self, table: &PersonalData) -> Option<Rule> {
        match self {
            Self::Person(_) => table.person,
            Self::Org(_) => table.org,
        }
    }

    /// Their objects.
    pub(crate) fn objects(self) -> Key {
        match self {
            Self::Person(user) => Key::all_of_person(user),
            Self::Org(org) => Key::all_of(org),
        }
    }
}
