use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::Id;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
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
        self.read(|bytes| Uuid::from_slice(bytes).ok().map(Id::from))
    }

    /// The position after which the page begins, in a list with an order of its own: see [`Page::ending_at`].
    pub fn position<P: DeserializeOwned>(&self) -> Result<Option<P>> {
        self.read(|bytes| serde_json::from_slice(bytes).ok())
    }

    /// Somebody made it up, or took it from another list.
    pub fn invalid_cursor() -> Problem {
        Problem::bad_request("invalid_cursor", "the cursor is not one of ours")
    }

    fn read<P>(&self, read: impl Fn(&[u8]) -> Option<P>) -> Result<Option<P>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
        let position = bytes.and_then(|bytes| read(&bytes));
        position.map(Some).ok_or_else(Self::invalid_cursor)
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
    pub fn new<I>(query: &PageQuery, rows: Vec<T>, id: impl Fn(&T) -> Id<I>) -> Self {
        Self::cut(query, rows, |row| id(row).uuid().as_bytes().to_vec())
    }

    /// The same of a list that is not ordered by ids: `position` is whatever tells where a row stands.
    pub fn ending_at<P: Serialize>(
        query: &PageQuery,
        rows: Vec<T>,
        position: impl Fn(&T) -> P,
    ) -> Self {
        Self::cut(query, rows, |row| serde_json::to_vec(&position(row)).unwrap_or_default())
    }

    fn cut(query: &PageQuery, mut rows: Vec<T>, position: impl Fn(&T) -> Vec<u8>) -> Self {
        let limit = usize::from(query.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| BASE64_URL_SAFE_NO_PAD.encode(position(row)));
        Self { items: rows, next_cursor }
    }
}
