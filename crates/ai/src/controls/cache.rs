use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use db::{Db, Mark};
use kernel::{Clock, Id, Org};
use moka::future::Cache;
use uuid::Uuid;
use web::Problem;

use super::control::{Control, Stop};

const CAPACITY: u64 = 100_000;
/// How long it may be unnoticed that a budget fills up. It only chooses the model; the budget holds.
const RECENT: Duration = Duration::from_secs(1);

/// What may stop or change the calls of each org, read from memory: a change is heard of.
#[derive(Clone, Debug)]
pub(crate) struct Controls {
    db: Db,
    clock: Clock,
    cache: Cache<Id<Org>, Arc<Known>>,
    /// How full the budgets of those are who replace models by that.
    percents: Cache<Id<Org>, i64>,
}

/// The controls of one org and of everybody, as they were at a time.
#[derive(Debug)]
pub(crate) struct Known {
    since: Mark,
    own: Control,
    everybodys: Control,
}

impl Controls {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        let percents = Cache::builder().max_capacity(CAPACITY).time_to_live(RECENT).build();
        Self { db, clock, cache: Cache::new(CAPACITY), percents }
    }

    /// The cheaper model that replaces `model`, if a budget above `org` is full enough for that.
    pub(crate) async fn instead_of(
        &self,
        org: Id<Org>,
        model: &str,
    ) -> Result<Option<String>, Problem> {
        let known = self.of(org).await?;
        if !known.replaces(model) {
            return Ok(None);
        }
        let load = quotas::percent_used(self.db.pool(), org, self.clock.now());
        let percent = self.percents.try_get_with(org, load).await.map_err(Problem::unavailable)?;
        Ok(known.cheaper(model, percent).map(str::to_owned))
    }

    /// What applies to `org` now.
    pub(crate) async fn of(&self, org: Id<Org>) -> sqlx::Result<Arc<Known>> {
        let changes = self.db.changes();
        if let Some(known) = self.cache.get(&org).await
            && changes.is_current(known.since, [org.into(), Uuid::nil().into()])
        {
            return Ok(known);
        }
        let since = changes.mark();
        let (own, everybodys) = Control::both(self.db.pool(), org).await?;
        let known = Arc::new(Known { since, own, everybodys });
        self.cache.insert(org, known.clone()).await;
        Ok(known)
    }

    /// Makes a change known at once, in this process.
    pub(crate) fn forget(&self, org: Option<Id<Org>>) {
        self.db.changes().note(org.map_or(Uuid::nil(), Id::uuid));
    }
}

impl Known {
    /// Refuses calls while they are switched off.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let (stop, whose) = match (&self.everybodys.stop, &self.own.stop) {
            (Some(stop), _) => (stop, ""),
            (None, Some(stop)) => (stop, " for your organization"),
            (None, None) => return Ok(()),
        };
        Err(switched_off(stop, whose))
    }

    /// Whether `model` is ever replaced.
    fn replaces(&self, model: &str) -> bool {
        self.cheaper(model, 100).is_some()
    }

    /// What replaces `model` when a budget is at `percent`.
    fn cheaper(&self, model: &str, percent: i64) -> Option<&str> {
        [&self.own, &self.everybodys].into_iter().find_map(|control| {
            control.cheaper_from.filter(|from| percent >= i64::from(*from))?;
            control.cheaper.get(model).map(String::as_str)
        })
    }

    /// Whether calls that nobody waits for wait for an exhausted budget.
    pub(crate) fn waits(&self) -> bool {
        self.own.when_exhausted == super::WhenExhausted::Wait
    }
}

fn switched_off(stop: &Stop, whose: &str) -> Problem {
    let detail = format!("AI calls are switched off{whose}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "ai_switched_off", detail)
        .action("Wait, or ask an owner of your organization: GET /v1/ai-control says who did it and why.")
        .retry_after(60)
        .with("stopped_at", stop.at.to_rfc3339())
        .with("reason", stop.reason.clone())
}
