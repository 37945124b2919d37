use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use chrono::{DateTime, Utc};
use db::Db;
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use tokio::sync::Mutex;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Grant;

/// Where an org's credits can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(crate) enum Account {
    /// Nowhere yet: the counterpart of every credit given.
    Issued,
    /// To be spent.
    Available,
    /// Used by calls.
    Spent,
    /// Not used in time.
    Expired,
    /// Taken back because the money for them was returned.
    ClawedBack,
    /// On the way from a grant that pays to the one that owes.
    Debt,
}

/// A movement of credits from one account to another: both halves of a double entry in one row.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) org: Id<Org>,
    pub(crate) from: Account,
    pub(crate) to: Account,
    pub(crate) credits: i64,
    pub(crate) grant: Id<Grant>,
    /// Names the cause; the same cause has no second effect.
    pub(crate) external_id: String,
}

impl Entry {
    /// Books all of `entries` in one statement.
    pub(crate) async fn insert_all(
        db: &mut PgConnection,
        entries: &[Self],
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let column = |f: fn(&Self) -> Uuid| entries.iter().map(f).collect::<Vec<_>>();
        let ids = column(|_| Uuid::now_v7());
        let orgs = column(|it| it.org.uuid());
        let grants = column(|it| it.grant.uuid());
        let from: Vec<Account> = entries.iter().map(|it| it.from).collect();
        let to: Vec<Account> = entries.iter().map(|it| it.to).collect();
        let amounts: Vec<i64> = entries.iter().map(|it| it.credits).collect();
        let causes: Vec<String> = entries.iter().map(|it| it.external_id.clone()).collect();
        sqlx::query!(
            "insert into ledger_entries
                 (id, org_id, unit, from_account, to_account, amount, grant_id, external_id, created_at)
             select id, org_id, 'credits', from_account, to_account, amount, grant_id, external_id, $8
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::text[])
                 as n (id, org_id, from_account, to_account, amount, grant_id, external_id)",
            &ids,
            &orgs,
            &from as _,
            &to as _,
            &amounts,
            &grants,
            &causes,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// A rule of the books that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// Which rule.
    pub rule: String,
    /// The row that breaks it.
    pub subject: String,
    /// What should be equal and is not.
    pub detail: String,
}

/// Every broken rule of the books. They are right when there is none.
pub async fn violations(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Violation>> {
    sqlx::query_as!(
        Violation,
        r#"select rule as "rule!", subject as "subject!", detail as "detail!"
           from ledger_violations
           union all
           select rule, subject, detail from grant_violations"#,
    )
    .fetch_all(db)
    .await
}

/// How long a look at the books counts. It reads all of them, and health can be asked by anybody.
const FRESH: Duration = Duration::from_mins(1);

/// Looks at the books now and then.
#[derive(Clone)]
pub(crate) struct Audit {
    db: Db,
    last: Arc<Mutex<Option<Look>>>,
}

/// What was found, and when.
struct Look {
    at: Instant,
    broken: Vec<Violation>,
}

impl Audit {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, last: Arc::default() }
    }

    /// Fails when the books are wrong; the log says where.
    pub(crate) async fn check(self) -> anyhow::Result<()> {
        let mut last = self.last.lock().await;
        let look = match last.take().filter(|look| look.at.elapsed() < FRESH) {
            Some(look) => look,
            None => Look::now(&self.db).await?,
        };
        let look = last.insert(look);
        let Some(first) = look.broken.first() else { return Ok(()) };
        bail!("{} broken rules, the first is {}", look.broken.len(), first.rule)
    }
}

impl Look {
    async fn now(db: &Db) -> sqlx::Result<Self> {
        let (at, broken) = (Instant::now(), violations(db.pool()).await?);
        for Violation { rule, subject, detail } in &broken {
            tracing::error!(rule, subject, detail, "the books are wrong");
        }
        Ok(Self { at, broken })
    }
}
