use kernel::Id;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use web::Problem;

/// Which part of a list to answer, as `OpenAI`'s SDKs ask for it.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Items per page.
    #[serde(default = "ListQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// The last id of the page before.
    after: Option<Uuid>,
}

impl ListQuery {
    pub(super) fn new(limit: Option<u16>, after: Option<Uuid>) -> Self {
        Self { limit: limit.unwrap_or_else(Self::default_limit), after }
    }

    fn default_limit() -> u16 {
        20
    }

    /// How many rows to fetch: one more than asked for tells whether there is another page.
    pub(super) fn rows(&self) -> Result<i64, Problem> {
        match self.limit {
            1..=100 => Ok(i64::from(self.limit) + 1),
            _ => Err(Problem::unprocessable("invalid_limit", "limit must be between 1 and 100")),
        }
    }

    pub(super) fn after<T>(&self) -> Option<Id<T>> {
        self.after.map(Id::from)
    }
}

/// One part of a list, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    #[schema(example = "list")]
    object: &'static str,
    data: Vec<T>,
    first_id: Option<Uuid>,
    last_id: Option<Uuid>,
    has_more: bool,
}

impl<T> List<T> {
    pub(super) fn new(query: &ListQuery, mut data: Vec<T>, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::from(query.limit);
        let has_more = data.len() > limit;
        data.truncate(limit);
        let (first_id, last_id) = (data.first().map(&id), data.last().map(&id));
        Self { object: "list", data, first_id, last_id, has_more }
    }
}
