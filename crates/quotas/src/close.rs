use std::fmt::{self, Write as _};

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use jobs::Job;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::{Error, Quotas, Result};

/// How long after its end a month can be closed at the earliest: calls that were in flight have ended.
const GRACE: TimeDelta = TimeDelta::hours(1);

/// The first line of every export.
const HEADER: &str =
    "month,org_id,unit,from_account,to_account,entries,amount,late_entries,late_amount\n";

/// A month whose books are written down and change no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month(NaiveDate);

/// What moved between two accounts of an org in a month.
struct Line {
    org: Uuid,
    unit: String,
    from: String,
    to: String,
    entries: i64,
    amount: i64,
    late_entries: i64,
    late_amount: i64,
}

/// Closes the month that has ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CloseMonth {}

impl Job for CloseMonth {
    const NAME: &'static str = "quotas.close_month";
    type Context = Quotas;

    async fn run(self, quotas: Quotas) -> anyhow::Result<()> {
        let now = quotas.clock().now();
        let mut tx = quotas.db().begin().await?;
        match Month::before(now).close(&mut tx, now).await {
            Err(Error::LaterMonthClosed) => return Ok(()),
            closed => _ = closed?,
        }
        Ok(tx.commit().await?)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.format("%Y-%m").fmt(f)
    }
}

impl Month {
    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 7 && text.as_bytes()[4] == b'-';
        let date = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok()?;
        well_formed.then_some(Self(date))
    }

    /// The month before the one of `now`, in UTC as all months of the books.
    pub fn before(now: DateTime<Utc>) -> Self {
        let first = now.date_naive().with_day(1).unwrap_or_else(|| now.date_naive());
        Self(first - Months::new(1))
    }

    fn start(self) -> DateTime<Utc> {
        self.0.and_time(NaiveTime::MIN).and_utc()
    }

    fn end(self) -> DateTime<Utc> {
        (self.0 + Months::new(1)).and_time(NaiveTime::MIN).and_utc()
    }

    /// Writes the month's books down, and says whether they were not yet. Months are closed in their order; one that
    /// was left out is in the next, marked late.
    pub async fn close(self, db: &mut PgConnection, now: DateTime<Utc>) -> Result<bool> {
        if now < self.end() + GRACE {
            return Err(Error::MonthNotOver);
        }
        // One at a time, in order.
        sqlx::query!("lock table ledger_closes in share row exclusive mode")
            .execute(&mut *db)
            .await?;
        let state = sqlx::query!(
            r#"select coalesce(bool_or(month > $1), false) as "later!",
                      coalesce(bool_or(month = $1), false) as "closed!"
               from ledger_closes"#,
            self.0,
        )
        .fetch_one(&mut *db)
        .await?;
        if state.closed {
            return Ok(false);
        }
        if state.later {
            return Err(Error::LaterMonthClosed);
        }
        sqlx::query!("insert into ledger_closes (month, closed_at) values ($1, $2)", self.0, now)
            .execute(&mut *db)
            .await?;
        self.write_lines(db).await?;
        Ok(true)
    }

    /// Everything up to the month's end that no earlier close has.
    async fn write_lines(self, db: &mut PgConnection) -> Result<()> {
        sqlx::query!(
            "insert into ledger_close_lines
             select $1, org_id, unit, from_account, to_account, sum(entries)::bigint, sum(amount)::bigint,
                    sum(late_entries)::bigint, sum(late_amount)::bigint
             from (select org_id, unit, from_account, to_account, count(*) as entries, sum(amount) as amount,
                          count(*) filter (where created_at < $2) as late_entries,
                          coalesce(sum(amount) filter (where created_at < $2), 0) as late_amount
                   from ledger_entries
                   where created_at < $3
                   group by org_id, unit, from_account, to_account
                   union all
                   select org_id, unit, from_account, to_account, -entries, -amount, -entries, -amount
                   from ledger_close_lines
                   where month < $1) moved
             group by org_id, unit, from_account, to_account
             having sum(entries) <> 0",
            self.0,
            self.start(),
            self.end(),
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// The month's books as CSV: the same bytes whenever they are asked for.
    pub async fn export(self, db: impl PgExecutor<'_>) -> Result<String> {
        let rows = sqlx::query!(
            r#"select l.org_id as "org?", l.unit as "unit?", l.from_account as "from?",
                      l.to_account as "to?", l.entries as "entries?", l.amount as "amount?",
                      l.late_entries as "late_entries?", l.late_amount as "late_amount?"
               from ledger_closes c
               left join ledger_close_lines l on l.month = c.month
               where c.month = $1
               order by l.org_id, l.unit collate "C", l.from_account collate "C", l.to_account collate "C""#,
            self.0,
        )
        .map(|row| {
            Some(Line {
                org: row.org?,
                unit: row.unit?,
                from: row.from?,
                to: row.to?,
                entries: row.entries?,
                amount: row.amount?,
                late_entries: row.late_entries?,
                late_amount: row.late_amount?,
            })
        })
        .fetch_all(db)
        .await?;
        if rows.is_empty() {
            return Err(Error::MonthNotClosed);
        }
        let mut csv = HEADER.to_owned();
        for Line { org, unit, from, to, entries, amount, late_entries, late_amount } in
            rows.into_iter().flatten()
        {
            // Writing to a string cannot fail.
            let _ = writeln!(
                csv,
                "{self},{org},{unit},{from},{to},{entries},{amount},{late_entries},{late_amount}"
            );
        }
        Ok(csv)
    }
}
