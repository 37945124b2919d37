use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;
use web::Problem;

/// More replacements than anybody has models.
const REPLACEMENTS: usize = 100;

/// What may stop or change AI calls: of one org, or of everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AiControl)]
pub struct Control {
    /// Present while AI calls are switched off.
    pub stop: Option<Stop>,
    /// From this percentage of any budget on, models are replaced by cheaper ones; absent: never.
    pub cheaper_from: Option<i16>,
    /// Which model replaces which.
    pub cheaper: BTreeMap<String, String>,
    /// What becomes of calls that nobody waits for when a budget is exhausted.
    pub when_exhausted: WhenExhausted,
    /// Grows with every change; the `ETag`. 0: nothing was ever set.
    pub version: i64,
}

/// Why AI calls are off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AiStop)]
pub struct Stop {
    /// Who switched them off.
    pub by: Stopper,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Who switched AI calls off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = AiStopper)]
pub enum Stopper {
    /// An owner of the org, who may switch them on again.
    Owner,
    /// One of the people who run the product; only they may switch them on again.
    Operator,
    /// The watch over unusual spending. An owner of the org may switch them on again.
    Anomaly,
}

/// What becomes of a call that nobody waits for when a budget is exhausted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum WhenExhausted {
    /// It fails, as a call that somebody waits for does.
    #[default]
    Refuse,
    /// It waits until the budget begins anew, if that is before it is forgotten.
    Wait,
}

/// What a control should be.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AiControlInput)]
pub struct ControlInput {
    /// Whether AI calls are switched on.
    pub on: bool,
    /// Why they are switched off, for those who ask.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
    /// From this percentage of any budget on, models are replaced by cheaper ones; absent: never.
    #[schema(minimum = 1, maximum = 100)]
    pub cheaper_from: Option<i16>,
    /// Which model replaces which.
    #[serde(default)]
    #[schema(example = json!({ "gpt-4o": "gpt-4o-mini" }))]
    pub cheaper: BTreeMap<String, String>,
    /// What becomes of calls that nobody waits for when a budget is exhausted.
    #[serde(default)]
    pub when_exhausted: WhenExhausted,
}

impl ControlInput {
    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.cheaper_from.is_some_and(|percent| !(1..=100).contains(&percent)) {
            return Err(Problem::invalid_field("/cheaper_from", "must be between 1 and 100"));
        }
        if self.cheaper.len() > REPLACEMENTS {
            return Err(Problem::invalid_field("/cheaper", "must name at most 100 models"));
        }
        if self.cheaper.values().any(|to| self.cheaper.contains_key(to)) {
            let detail = "must not replace a model by one that is replaced itself";
            return Err(Problem::invalid_field("/cheaper", detail));
        }
        if self.reason.as_ref().is_some_and(|reason| reason.chars().count() > 200) {
            return Err(Problem::invalid_field("/reason", "must have at most 200 characters"));
        }
        Ok(())
    }

    /// The control that `before` becomes.
    pub(crate) fn apply(self, before: &Control, by: Stopper, now: DateTime<Utc>) -> Control {
        let stop = match (self.on, &before.stop) {
            (true, _) => None,
            // Who stopped first stays responsible, unless an operator takes it over.
            (false, Some(stop)) if by != Stopper::Operator => Some(stop.clone()),
            (false, _) => Some(Stop { by, reason: self.reason.unwrap_or_default(), at: now }),
        };
        Control {
            stop,
            cheaper_from: self.cheaper_from,
            cheaper: self.cheaper,
            when_exhausted: self.when_exhausted,
            version: before.version + 1,
        }
    }
}

/// A row as it is stored.
struct Row {
    org: Option<Id<Org>>,
    stopped_by: Option<Stopper>,
    stop_reason: Option<String>,
    stopped_at: Option<DateTime<Utc>>,
    cheaper_from: Option<i16>,
    cheaper: Json<BTreeMap<String, String>>,
    when_exhausted: WhenExhausted,
    version: i64,
}

impl From<Row> for Control {
    fn from(row: Row) -> Self {
        let stop = row.stopped_by.zip(row.stop_reason).zip(row.stopped_at);
        Self {
            stop: stop.map(|((by, reason), at)| Stop { by, reason, at }),
            cheaper_from: row.cheaper_from,
            cheaper: row.cheaper.0,
            when_exhausted: row.when_exhausted,
            version: row.version,
        }
    }
}

impl Control {
    /// That of `org`, or of everybody, and nobody changes it until the transaction ends.
    pub(crate) async fn lock(
        db: &mut PgConnection,
        org: Option<Id<Org>>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        sqlx::query!(
            "insert into ai_controls (org_id, version, updated_at) values ($1, 0, $2)
             on conflict on constraint ai_control_exists_once do update set updated_at = $2",
            org as _,
            now,
        )
        .execute(&mut *db)
        .await?;
        Self::of(db, org).await
    }

    /// That of `org`, or of everybody.
    pub async fn of(db: impl PgExecutor<'_>, org: Option<Id<Org>>) -> sqlx::Result<Self> {
        let row = sqlx::query_as!(
            Row,
            r#"select org_id as "org: _", stopped_by as "stopped_by: _", stop_reason, stopped_at,
                      cheaper_from, cheaper as "cheaper: _", when_exhausted as "when_exhausted: _", version
               from ai_controls
               where org_id is not distinct from $1"#,
            org as _,
        )
        .fetch_optional(db)
        .await?;
        Ok(row.map(Self::from).unwrap_or_default())
    }

    /// Those of `org` and of everybody.
    pub(crate) async fn both(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<(Self, Self)> {
        let rows = sqlx::query_as!(
            Row,
            r#"select org_id as "org: _", stopped_by as "stopped_by: _", stop_reason, stopped_at,
                      cheaper_from, cheaper as "cheaper: _", when_exhausted as "when_exhausted: _", version
               from ai_controls
               where org_id = $1 or org_id is null"#,
            org as _,
        )
        .fetch_all(db)
        .await?;
        let (mut own, mut everybodys) = (Self::default(), Self::default());
        for row in rows {
            let place = if row.org.is_some() { &mut own } else { &mut everybodys };
            *place = row.into();
        }
        Ok((own, everybodys))
    }

    pub(crate) async fn save(
        &self,
        db: &mut PgConnection,
        org: Option<Id<Org>>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into ai_controls
                 (org_id, stopped_by, stop_reason, stopped_at, cheaper_from, cheaper, when_exhausted,
                  version, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict on constraint ai_control_exists_once do update
             set stopped_by = excluded.stopped_by, stop_reason = excluded.stop_reason,
                 stopped_at = excluded.stopped_at, cheaper_from = excluded.cheaper_from,
                 cheaper = excluded.cheaper, when_exhausted = excluded.when_exhausted,
                 version = excluded.version, updated_at = excluded.updated_at",
            org as _,
            self.stop.as_ref().map(|stop| stop.by) as _,
            self.stop.as_ref().map(|stop| stop.reason.as_str()),
            self.stop.as_ref().map(|stop| stop.at),
            self.cheaper_from,
            Json(&self.cheaper) as _,
            self.when_exhausted as _,
            self.version,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
