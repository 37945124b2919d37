use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::PgExecutor;

/// What an org's payments come to in a span of time. Amounts are in 1e-7 of the currency's smallest
/// unit: nano-USD, if that is a cent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revenue {
    /// Who paid.
    pub org: Id<Org>,
    /// ISO 4217, in small letters. Currencies are never added up.
    pub currency: String,
    /// What arrived in the span.
    pub received: i64,
    /// What was earned in it: of a plan's payment the part of its month or year that lies in the span, of
    /// a pack's payment the part of its credits that were spent or lapsed in it.
    pub earned: i64,
}

impl Revenue {
    /// That of every org with payments that count from `from` until `to`. What is earned until a time is
    /// rounded down, and what is earned in a span is the difference of two of these: so spans add up.
    pub async fn list(
        db: impl PgExecutor<'_>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"with paid as (
                   select p.org_id, p.currency, p.stripe_id, p.created_at as starts,
                          p.amount_cents::numeric * 10000000 as amount,
                          case when c.item like 'plan-%-year' then p.created_at + interval '1 year'
                               when c.item like 'plan-%' then p.created_at + interval '1 month' end as ends
                   from payments p
                   join checkouts c on c.id = p.checkout_id
                   where p.created_at < $2
               ), progress as (
                   -- Plans by time: how much of how much had passed, at either end of the span.
                   select org_id, currency, starts, amount, extract(epoch from ends - starts) as whole,
                          extract(epoch from greatest(least($1, ends), starts) - starts) as before,
                          extract(epoch from least($2, ends) - starts) as after
                   from paid
                   where ends is not null
                   union all
                   -- Packs by credits.
                   select paid.org_id, currency, starts, paid.amount, coalesce(grants.amount, 1),
                          used.before, used.after
                   from paid
                   left join grants on grants.external_id = 'stripe:' || paid.stripe_id
                   cross join lateral (
                       select coalesce(sum(moved) filter (where created_at < $1), 0) as before,
                              coalesce(sum(moved), 0) as after
                       from (select created_at,
                                    case when to_account in ('spent', 'expired') then amount else 0 end
                                    - case when from_account in ('spent', 'expired') then amount else 0 end as moved
                             from ledger_entries
                             where grant_id = grants.id and created_at < $2) entry
                   ) used
                   where ends is null
               )
               select org_id as "org!: _", currency as "currency!",
                      sum(case when starts >= $1 then amount else 0 end)::bigint as "received!",
                      sum(floor(amount * after / whole) - floor(amount * before / whole))::bigint as "earned!"
               from progress
               group by 1, 2
               having sum(case when starts >= $1 then amount else 0 end) <> 0
                   or sum(floor(amount * after / whole) - floor(amount * before / whole)) <> 0
               order by 1, 2"#,
            from,
            to,
        )
        .fetch_all(db)
        .await
    }
}
