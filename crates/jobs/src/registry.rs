use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    marker::PhantomData,
    sync::Arc,
};

use graphile_worker::{
    IntoTaskHandlerResult, ShutdownSignal, TaskHandler, WorkerContext, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use tracing::{Instrument, info_span};

use crate::{Job, lease::Leases};

type Define = Arc<dyn Fn(WorkerOptions) -> WorkerOptions + Send + Sync>;

/// Slots that jobs compete for: those that may take minutes have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Quick,
    Slow,
}

impl Lane {
    fn of<J: Job>() -> Self {
        if J::SLOW { Self::Slow } else { Self::Quick }
    }
}

/// The jobs a process knows how to run. Jobs of other names stay queued for a process that does.
#[derive(Clone, Default)]
pub struct Registry {
    jobs: HashMap<&'static str, (Lane, Define)>,
}

impl Registry {
    /// Adds a job and what it needs to run; panics if the name is taken.
    #[must_use]
    pub fn with<J: Job>(mut self, context: J::Context) -> Self {
        let needs = Needs::<J>(context);
        let define: Define =
            Arc::new(move |options| options.define_job::<Task<J>>().add_extension(needs.clone()));
        self.insert(J::NAME, (Lane::of::<J>(), define));
        self
    }

    /// Adds the jobs of another crate; panics if two share a name.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (name, define) in other.jobs {
            self.insert(name, define);
        }
        self
    }

    /// Teaches the library every job, or those of one lane, for a worker that ends with `stop`.
    pub(crate) fn define(
        &self,
        options: WorkerOptions,
        lane: Option<Lane>,
        db: &PgPool,
        stop: ShutdownSignal,
    ) -> WorkerOptions {
        let jobs = self.jobs.values().filter(|(of, _)| lane.is_none_or(|lane| *of == lane));
        let options = options.add_extension(Leases::new(db.clone(), stop));
        jobs.fold(options, |options, (_, define)| define(options))
    }

    pub(crate) fn uses(&self, lane: Lane) -> bool {
        self.jobs.values().any(|(of, _)| *of == lane)
    }

    /// The names of all jobs.
    pub(crate) fn names(&self) -> BTreeSet<&'static str> {
        self.jobs.keys().copied().collect()
    }

    fn insert(&mut self, name: &'static str, define: (Lane, Define)) {
        let known = self.jobs.insert(name, define);
        assert!(known.is_none(), "two jobs are named {name}");
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.jobs.keys()).finish()
    }
}

/// A context, told apart by its job: two jobs may need different values of one type.
struct Needs<J: Job>(J::Context);

impl<J: Job> Clone for Needs<J> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<J: Job> fmt::Debug for Needs<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(J::NAME)
    }
}

/// A `J` as the library sees it: read from the stored payload only when it runs.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Task<J> {
    job: Value,
    #[serde(skip)]
    of: PhantomData<fn() -> J>,
}

impl<J: Job> TaskHandler for Task<J> {
    const IDENTIFIER: &'static str = J::NAME;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let span =
            info_span!("job", otel.name = J::NAME, job = J::NAME, job_id = context.job().id());
        let run = async move {
            // The error would quote the payload.
            let job: J = serde_json::from_value(self.job)
                .map_err(|_| anyhow::anyhow!("the payload is not a {}", J::NAME))?;
            let needs = context.get_ext::<Needs<J>>().expect("defined together with the job");
            let leases = context.get_ext::<Leases>().expect("defined together with the job");
            let held = leases.take(&context)?;
            held.lease.hold(job.run(needs.0.clone())).await?;
            held.complete().await
        };
        run.instrument(span).await.map_err(Failure)
    }
}

/// The library stores an error's debug form, which for `anyhow` has many lines.
struct Failure(anyhow::Error);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
