use std::{collections::HashMap, fmt, sync::Arc};

use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use web::Problem;

use crate::{By, Progress};

/// What one item of a job takes. A job has one item or many; each succeeds or fails, and is charged, for itself.
pub trait Work: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Names the kind of job, as customers see it; changing it strands jobs already queued.
    const KIND: &'static str;

    /// How many items of a job are worked on at the same time.
    const AT_ONCE: usize = 1;

    /// Whether an item may be begun anew after the process that worked on it died. If not, because it costs
    /// something each time, such an item fails with `outcome_unknown`.
    const REPEATABLE: bool = true;

    /// What it needs, usually the service of its crate.
    type Context: Clone + Send + Sync + 'static;

    /// Does the work; what it answers is shown to the customer.
    ///
    /// A problem that is retryable, and does not say `outcome: unknown`, means "try again later": up to five times.
    /// It is never dropped half-way, unless the process stops. A job of one item should report its progress, which
    /// is also how it hears that it was called off.
    fn run(
        self,
        by: By,
        progress: Progress,
        context: Self::Context,
    ) -> impl Future<Output = Result<Value, Problem>> + Send;
}

type Run = dyn Fn(Value, By, Progress) -> BoxFuture<'static, Result<Value, Problem>> + Send + Sync;

/// A kind of job that this process can do.
#[derive(Clone)]
pub struct Handler {
    pub(crate) kind: &'static str,
    pub(crate) at_once: usize,
    pub(crate) repeatable: bool,
    run: Arc<Run>,
}

impl Handler {
    /// Does `W` with `context`.
    pub fn new<W: Work>(context: W::Context) -> Self {
        let run = move |input: Value, by: By, progress: Progress| {
            let context = context.clone();
            let work: BoxFuture<'static, _> = Box::pin(async move {
                // The error would quote the input.
                let item: W = serde_json::from_value(input).map_err(|_| unreadable(W::KIND))?;
                item.run(by, progress, context).await
            });
            work
        };
        Self {
            kind: W::KIND,
            at_once: W::AT_ONCE.max(1),
            repeatable: W::REPEATABLE,
            run: Arc::new(run),
        }
    }

    pub(crate) fn run(
        &self,
        input: Value,
        by: By,
        progress: Progress,
    ) -> BoxFuture<'static, Result<Value, Problem>> {
        (self.run)(input, by, progress)
    }
}

/// Queued by a newer version of the program, perhaps.
fn unreadable(kind: &str) -> Problem {
    Problem::unavailable(anyhow::anyhow!("an item of a job is not a {kind}"))
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// Every kind, by its name.
pub(crate) fn by_kind(
    handlers: impl IntoIterator<Item = Handler>,
) -> HashMap<&'static str, Handler> {
    let mut all = HashMap::new();
    for handler in handlers {
        let known = all.insert(handler.kind, handler);
        assert!(known.is_none(), "two kinds of jobs share the name {known:?}");
    }
    all
}
