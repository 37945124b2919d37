use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::Purse;
use crate::{GrantSource, NewGrant, ledger::Account};

/// Credits that an org may use in a period beyond those it has, to be billed afterwards. They are grants like
/// any other, spent last; they never pay for credits that were taken back.
#[derive(Clone, Debug)]
pub struct Overage {
    /// Who may.
    pub org: Id<Org>,
    /// Names the period.
    pub period: String,
    /// How many at most, in all.
    pub credits: i64,
    /// When the period ends.
    pub until: DateTime<Utc>,
}

/// What was used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverageUse {
    /// By whom.
    pub org: Id<Org>,
    /// In which period.
    pub period: String,
    /// How many credits, by calls that have ended.
    pub credits: i64,
    /// When the period ends, or ended.
    pub until: DateTime<Utc>,
}

impl Overage {
    /// Makes it so from now on. What was used stays used, and calls in flight keep what they hold. One org's
    /// must not be changed twice at once.
    pub async fn allow(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        let prefix = prefix(&self.period);
        let known = sqlx::query!(
            r#"select coalesce(sum(amount - revoked) filter (where current), 0)::bigint as "allowed!",
                      coalesce(bool_or(amount > spent + revoked) filter (where not current), false) as "stale!"
               from grants
               cross join lateral (select starts_with(external_id, $2) as current) it
               where org_id = $1 and source = 'overage' and (current or expires_at > $3)"#,
            self.org as _,
            prefix,
            now,
        )
        .fetch_one(&mut *db)
        .await?;
        let more = self.credits - known.allowed;
        if more < 0 || known.stale {
            let mut purse = Purse::lock(&mut *db, self.org, now).await?;
            purse.withdraw(&prefix, -more);
            purse.save(&mut *db).await?;
        }
        if more > 0 && now < self.until {
            let grant = NewGrant {
                org: self.org,
                source: GrantSource::Overage,
                amount: more,
                expires_at: Some(self.until),
                external_id: format!("{prefix}{}", Uuid::now_v7()),
            };
            grant.give(db, now).await?;
        }
        Ok(())
    }
}

impl OverageUse {
    /// That of every org in periods that end after `since`.
    pub async fn since(
        db: impl PgExecutor<'_>,
        since: DateTime<Utc>,
    ) -> sqlx::Result<Vec<OverageUse>> {
        Self::select(db, since, None).await
    }

    /// How many credits `org` used in a period.
    pub async fn of(db: impl PgExecutor<'_>, org: Id<Org>, period: &str) -> sqlx::Result<i64> {
        let uses = Self::select(db, DateTime::UNIX_EPOCH, Some(org)).await?;
        Ok(uses.into_iter().find(|it| it.period == period).map_or(0, |it| it.credits))
    }

    async fn select(
        db: impl PgExecutor<'_>,
        since: DateTime<Utc>,
        org: Option<Id<Org>>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select org_id as "org: _", split_part(external_id, '/', 2) as "period!",
                      sum(spent)::bigint as "credits!", max(expires_at) as "until!"
               from grants
               where source = 'overage' and expires_at > $1 and ($2::uuid is null or org_id = $2)
               group by 1, 2
               having sum(spent) > 0
               order by 1, 2"#,
            since,
            org.map(Id::uuid),
        )
        .fetch_all(db)
        .await
    }
}

/// What the grants of a period are named after.
fn prefix(period: &str) -> String {
    format!("overage/{period}/")
}

impl Purse {
    /// Takes away so many credits of the period called `prefix`, and all of others, as far as they are not used.
    fn withdraw(&mut self, prefix: &str, credits: i64) {
        let mut wanted = credits.max(0);
        for index in 0..self.grants.len() {
            let grant = &self.grants[index];
            if !grant.billed || !grant.is_live(self.now) {
                continue;
            }
            let is_current = grant.given_for.starts_with(prefix);
            let part = if is_current { grant.left().min(wanted) } else { grant.left() };
            wanted -= if is_current { part } else { 0 };
            self.move_credits(index, Account::Available, Account::Expired, part);
        }
    }
}
