use kernel::{ApiKey, Id, Org, User};
use web::Caller;

/// For whom a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// The org, which pays.
    pub org: Id<Org>,
    /// The person, or the maker of the API key.
    pub user: Id<User>,
    /// The key that was used, if one was.
    pub api_key: Option<Id<ApiKey>>,
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> Self {
        Self { org: caller.org, user: caller.user, api_key: caller.api_key() }
    }
}
