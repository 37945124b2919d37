use ::stripe::StripeRequest;
use miniserde::Deserialize;
use stripe_client_core::{RequestBuilder, StripeMethod};
use url::form_urlencoded::Serializer;

use super::{Failure, Stripe};

/// The most that Stripe puts on one page.
const PAGE: &str = "100";

/// Reads something of which only a few fields matter.
struct Read {
    path: String,
    query: String,
}

impl Read {
    fn new(path: &str, filters: &[(&str, &str)]) -> Self {
        let mut query = Serializer::new(String::new());
        Self { path: path.to_owned(), query: query.extend_pairs(filters).finish() }
    }
}

impl StripeRequest for Read {
    type Output = ();

    fn build(&self) -> RequestBuilder {
        let mut request = RequestBuilder::new(StripeMethod::Get, self.path.as_str());
        request.query = (!self.query.is_empty()).then(|| self.query.clone());
        request
    }
}

/// Ends or deletes something.
struct Delete(String);

impl StripeRequest for Delete {
    type Output = ();

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Delete, self.0.as_str())
    }
}

/// Something of which nothing is read.
#[derive(Deserialize)]
pub(super) struct Anything {}

/// One page of a list.
#[derive(Deserialize)]
struct Listed<T> {
    data: Vec<T>,
    has_more: bool,
}

/// What stands in a list.
pub(crate) trait Object: Deserialize + Send {
    /// Where the next page begins.
    fn id(&self) -> &str;
}

impl Stripe {
    /// One object.
    pub(super) async fn read<T: Deserialize + Send>(
        &self,
        path: &str,
        filters: &[(&str, &str)],
    ) -> Result<T, Failure> {
        self.send(&Read::new(path, filters), None).await
    }

    /// Fails with 404 if there is nothing at `path`.
    pub(crate) async fn exists(&self, path: &str) -> Result<(), Failure> {
        let _: Anything = self.read(path, &[]).await?;
        Ok(())
    }

    /// Deletes what is at `path`.
    pub(super) async fn delete(&self, path: String) -> Result<(), Failure> {
        let _: Anything = self.send(&Delete(path), None).await?;
        Ok(())
    }

    /// The first of a list.
    pub(super) async fn first<T: Deserialize + Send>(
        &self,
        path: &str,
        filters: &[(&str, &str)],
    ) -> Result<Option<T>, Failure> {
        let page: Listed<T> = self.read(path, filters).await?;
        Ok(page.data.into_iter().next())
    }

    /// A whole list, page by page, the newest first.
    pub(super) async fn all<T: Object>(
        &self,
        path: &str,
        filters: &[(&str, &str)],
    ) -> Result<Vec<T>, Failure> {
        let mut all: Vec<T> = Vec::new();
        loop {
            let last = all.last().map(|it| it.id().to_owned());
            let mut filters = filters.to_vec();
            filters.push(("limit", PAGE));
            filters.extend(last.as_deref().map(|last| ("starting_after", last)));
            let page: Listed<T> = self.read(path, &filters).await?;
            let more = page.has_more && !page.data.is_empty();
            all.extend(page.data);
            if !more {
                return Ok(all);
            }
        }
    }
}
