//! What an org used in a span of time, by whatever it wants to know.

mod file;
mod forecast;
mod grain;
mod lines;
mod moment;
mod query;
mod span;
mod totals;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Result;
use span::Span;

pub use forecast::Forecast;
pub(crate) use grain::DAY;
pub use lines::{Group, Key};
pub use moment::Moment;
pub(crate) use query::Filter;
pub use query::{Compare, ReportQuery};
pub use span::Bucket;
pub use totals::{Change, Split, Totals};

/// Whose lines stand for everybody together: the nil id, as in the books.
pub(crate) const PLATFORM: Uuid = Uuid::nil();

/// What an org used, or everybody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageReport)]
pub struct Report {
    /// From then, inclusive; a full quarter of an hour.
    pub from: DateTime<Utc>,
    /// Until then, exclusive.
    pub to: DateTime<Utc>,
    /// Where days and months begin at midnight.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// All of it, and who pays for it.
    #[serde(flatten)]
    pub split: Split,
    /// The same by bucket and by whatever was asked to group by, in the order of time, the dearest first.
    pub groups: Vec<Group>,
    /// The span of the same length before it, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// The span before, to compare with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsagePrevious)]
pub struct Previous {
    /// From then, inclusive.
    pub from: DateTime<Utc>,
    /// Until then, exclusive.
    pub to: DateTime<Utc>,
    /// All of it.
    pub total: Totals,
    /// By how much the later span's total differs.
    pub change: Change,
}

impl Report {
    /// The usage of `org`, as `query` asks.
    pub async fn of(
        db: &mut PgConnection,
        org: Id<Org>,
        query: &ReportQuery,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let zone = query.zone(time_zone(db, org).await?)?;
        Self::read(db, org.uuid(), zone, query, now).await
    }

    /// That of everybody together, as `query` asks; in UTC unless it says otherwise.
    pub async fn of_platform(
        db: &mut PgConnection,
        query: &ReportQuery,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        query.refuse_detail()?;
        Self::read(db, PLATFORM, query.zone(Tz::UTC)?, query, now).await
    }

    async fn read(
        db: &mut PgConnection,
        owner: Uuid,
        zone: Tz,
        query: &ReportQuery,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let at = |moment: Option<Moment>| moment.map(|it| it.at(zone));
        let span = Span::new(at(query.from), at(query.to), zone, now)?;
        let (by, filter) = (query.dimensions()?, query.filter());
        let bounds = span.bounds(query.bucket)?;
        let groups = lines::read(db, owner, &bounds, &by, &filter).await?;
        let split = Split::of(&groups);
        let previous = match query.compare {
            None => None,
            Some(Compare::Previous) => {
                let (from, to) = span.previous();
                let bounds = [from, to];
                let before = lines::read(db, owner, &bounds, &[], &filter).await?;
                let total = Split::of(&before).total;
                Some(Previous { from, to, change: Change::between(&total, &split.total), total })
            }
        };
        Ok(Self {
            from: span.from,
            to: span.to,
            time_zone: zone.name().to_owned(),
            groups: lines::merge(groups, query.bucket, &bounds),
            split,
            previous,
        })
    }
}

/// Where the org's days begin at midnight.
pub(crate) async fn time_zone(db: &mut PgConnection, org: Id<Org>) -> Result<Tz> {
    let name = sqlx::query_scalar!("select time_zone from orgs where id = $1", org as _)
        .fetch_optional(db)
        .await?;
    Ok(name.and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC))
}
