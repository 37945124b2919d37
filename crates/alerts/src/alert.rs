use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::Rule;

/// How long a rule must be kept before its alert is over: what comes and goes is one alert.
const CALM: TimeDelta = TimeDelta::minutes(5);

/// Something that is wrong, or was.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Alert>,
    /// The rule that is broken.
    pub(crate) rule: String,
    /// What was measured last while it was broken.
    pub(crate) value: i64,
    /// The limit then.
    pub(crate) threshold: i64,
    /// When it began.
    pub(crate) started_at: DateTime<Utc>,
    /// Since when the rule is kept again, but not for long enough.
    pub(crate) well_since: Option<DateTime<Utc>>,
    /// How often it was told.
    pub(crate) notices: i32,
    /// When it was last told; absent while it is silenced.
    pub(crate) notified_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub(crate) resolved_at: Option<DateTime<Utc>>,
}

/// What is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// It began.
    Firing,
    /// It lasts.
    Reminder,
    /// It is over.
    Resolved,
}

/// What becomes of an alert when its rule has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It goes on.
    On,
    /// The rule is kept again, since now or before.
    Wane,
    Over,
}

impl Alert {
    fn step(&self, broken: bool, now: DateTime<Utc>) -> Step {
        match self.well_since {
            _ if broken => Step::On,
            Some(since) if now - since >= CALM => Step::Over,
            _ => Step::Wane,
        }
    }

    /// What has to be told now, if nobody wants silence.
    fn event(&self, step: Step, remind: TimeDelta, now: DateTime<Utc>) -> Option<Event> {
        match (step, self.notified_at) {
            (Step::On, None) => Some(Event::Firing),
            (Step::On, Some(last)) if now - last >= remind => Some(Event::Reminder),
            (Step::Over, Some(_)) => Some(Event::Resolved),
            _ => None,
        }
    }

    /// Takes note of what a rule measured: begins, keeps or ends its alert. Answers the alert, and what is to be told
    /// of it.
    pub(crate) async fn observe(
        db: &mut PgConnection,
        rule: &Rule,
        value: Option<i64>,
        remind: TimeDelta,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<(Self, Option<Event>)>> {
        // Whoever looks at the same rule at the same time sees what is decided here.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('alerts:' || $1, 0))")
            .bind(rule.name)
            .execute(&mut *db)
            .await?;
        let broken = value.filter(|value| rule.limit.is_broken_by(*value));
        let open = Self::open(&mut *db, rule.name).await?;
        let alert = match (open, broken) {
            (None, None) => return Ok(None),
            (Some(alert), _) => alert,
            (None, Some(value)) => Self::begin(&mut *db, rule, value, now).await?,
        };
        let step = alert.step(broken.is_some(), now);
        let silenced = crate::silence::covers(&mut *db, rule.name, now).await?;
        let event = alert.event(step, remind, now);
        // Who was told that it began is told that it is over, whatever is silenced.
        let event = event.filter(|event| !silenced || *event == Event::Resolved);
        let alert = alert.take(&mut *db, step, broken, event.is_some(), now).await?;
        Ok(Some((alert, event)))
    }

    async fn open(db: impl PgExecutor<'_>, rule: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", rule, value, threshold, started_at, well_since, notices, notified_at,
                      resolved_at
               from alerts
               where rule = $1 and resolved_at is null"#,
            rule,
        )
        .fetch_optional(db)
        .await
    }

    async fn begin(
        db: impl PgExecutor<'_>,
        rule: &Rule,
        value: i64,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"insert into alerts (id, rule, value, threshold, started_at) values ($1, $2, $3, $4, $5)
               returning id as "id: _", rule, value, threshold, started_at, well_since, notices, notified_at,
                         resolved_at"#,
            Id::<Self>::new() as _,
            rule.name,
            value,
            rule.limit.number(),
            now,
        )
        .fetch_one(db)
        .await
    }

    async fn take(
        self,
        db: impl PgExecutor<'_>,
        step: Step,
        value: Option<i64>,
        told: bool,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"update alerts
               set value = coalesce($2, value),
                   well_since = case when $3 then null else coalesce(well_since, $6) end,
                   resolved_at = case when $4 then $6 end,
                   notices = notices + case when $5 then 1 else 0 end,
                   notified_at = case when $5 then $6 else notified_at end
               where id = $1
               returning id as "id: _", rule, value, threshold, started_at, well_since, notices, notified_at,
                         resolved_at"#,
            self.id as _,
            value,
            step == Step::On,
            step == Step::Over,
            told,
            now,
        )
        .fetch_one(db)
        .await
    }

    /// The alert with this id.
    pub(crate) async fn find(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", rule, value, threshold, started_at, well_since, notices, notified_at,
                      resolved_at
               from alerts
               where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Those that last, or those that are over, or all; the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        resolved: Option<bool>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", rule, value, threshold, started_at, well_since, notices, notified_at,
                      resolved_at
               from alerts
               where ($1::bool is null or (resolved_at is not null) = $1) and ($2::uuid is null or id < $2)
               order by id desc
               limit $3"#,
            resolved,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }
}
