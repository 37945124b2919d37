use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::Id;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{Problem, Result};

/// Which part of a list to answer.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: u16,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// What [`limit`](Self::limit) is unless it is given; for lists that take more than a page.
    pub fn default_limit() -> u16 {
        20
    }

    /// How many rows to fetch: one more than asked for tells whether there is another page.
    pub fn rows(&self) -> Result<i64> {
        match self.limit {
            1..=100 => Ok(i64::from(self.limit) + 1),
            _ => Err(Problem::unprocessable("invalid_limit", "limit must be between 1 and 100")),
        }
    }

    /// The id after which the page begins. Ids are time-ordered, so they serve as position.
    pub fn after<T>(&self) -> Result<Option<Id<T>>> {
        let invalid = || Problem::bad_request("invalid_cursor", "the cursor is not one of ours");
        self.cursor
            .as_deref()
            .map(|cursor| {
                let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
                Uuid::from_slice(&bytes).map(Id::from).map_err(|_| invalid())
            })
            .transpose()
    }
}

/// One part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Sent as `cursor`, it gives the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of the [`PageQuery::rows`] that were fetched.
    pub fn new<I>(query: &PageQuery, mut rows: Vec<T>, id: impl Fn(&T) -> Id<I>) -> Self {
        let limit = usize::from(query.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| BASE64_URL_SAFE_NO_PAD.encode(id(row).uuid().as_bytes()));
        Self { items: rows, next_cursor }
    }
}
