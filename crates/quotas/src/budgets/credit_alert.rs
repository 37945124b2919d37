use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};

use crate::Grant;

/// How long a renewal may take to bring the credits of the next month: Stripe leaves its invoice open for an hour.
const RENEWED: TimeDelta = TimeDelta::days(1);
/// How long after all credits lapsed it is too late to say so.
const FORGOTTEN: TimeDelta = TimeDelta::days(7);

/// An org whose credits run out, of which nobody was told yet.
#[derive(Clone, Debug)]
pub struct CreditAlert {
    /// Which org.
    pub org: Id<Org>,
    /// Its name.
    pub name: String,
    /// How many credits it has left.
    pub left: i64,
    newest: Id<Grant>,
}

impl CreditAlert {
    /// Those with a fifth or less of what they were given, and those with nothing left. Each is due once
    /// until there are new credits. Credits that lapsed are not left, but it is still they that ran out: once a
    /// renewal had its time to bring new ones.
    pub async fn due(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select o.id as "org: _", o.name, greatest(it.remaining, 0) as "left!",
                      it.newest as "newest!: _"
               from (
                   select org_id,
                          coalesce(sum(amount) filter (where lasts), 0)::bigint as given,
                          coalesce(sum(amount - revoked - spent - held) filter (where lasts), 0)::bigint
                              as remaining,
                          (array_agg(id order by created_at desc, id desc))[1] as newest
                   from grants, lateral (select expires_at is null or expires_at > $1 as lasts) l
                   where source <> 'overage'
                   group by org_id
                   having bool_or(lasts) or max(expires_at) between $2 and $3
               ) it
               join orgs o on o.id = it.org_id
               left join credit_alerts a on a.org_id = it.org_id
               where it.remaining * 5 <= it.given
                 and (a.grant_id is distinct from it.newest or (it.remaining <= 0 and not a.is_empty))
               order by o.id"#,
            now,
            now - FORGOTTEN,
            now - RENEWED,
        )
        .fetch_all(db)
        .await
    }

    /// Notes that somebody is told, in the transaction that tells them; `false`: somebody was already.
    pub async fn note(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<bool> {
        let noted = sqlx::query!(
            "insert into credit_alerts as a (org_id, grant_id, is_empty, told_at)
             values ($1, $2, $3, $4)
             on conflict (org_id) do update
             set grant_id = $2, is_empty = $3, told_at = $4
             where a.grant_id <> $2 or (not a.is_empty and $3)",
            self.org as _,
            self.newest as _,
            self.left == 0,
            now,
        );
        Ok(noted.execute(db).await?.rows_affected() == 1)
    }
}
