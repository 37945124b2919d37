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
    /// What arrived in the span, less what went back in it.
    pub received: i64,
    /// What was earned in it: of a plan's payment the part of its month or year that lies in the span, of
    /// a pack's payment the part of its credits that left it; less what went back. What is earned of a
    /// payment at all is so what we keep of it.
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
                   -- Packs by credits, which may be overdrawn when their money goes back.
                   select paid.org_id, currency, starts, paid.amount, coalesce(grants.amount, 1),
                          least(used.before, grants.amount), least(used.after, grants.amount)
                   from paid
                   left join grants on grants.external_id = 'stripe:' || paid.stripe_id
                   cross join lateral (
                       select coalesce(sum(moved) filter (where created_at < $1), 0) as before,
                              coalesce(sum(moved), 0) as after
                       from (select created_at,
                                    case when to_account in ('issued', 'available') then -amount else amount end as moved
                             from ledger_entries
                             where grant_id = grants.id and created_at < $2
                               and 'available' in (from_account, to_account) and from_account <> 'issued') entry
                   ) used
                   where ends is null
               ), gone as (
                   select unnest(array['refund:' || stripe_id, 'refund_failed:' || stripe_id]) as cause from refunds
                   union all
                   select unnest(array['dispute:' || stripe_id, 'dispute_won:' || stripe_id]) from disputes
               ), moved as (
                   select org_id, currency, case when starts >= $1 then amount else 0 end as received,
                          floor(amount * after / whole) - floor(amount * before / whole) as earned
                   from progress
                   union all
                   -- What went back, and what of it came back.
                   select e.org_id, e.unit, part.amount, part.amount
                   from gone
                   join ledger_entries e on e.external_id = gone.cause
                   cross join lateral (
                       select case when e.from_account = 'stripe' then -e.amount else e.amount end * 10000000::numeric
                           as amount
                   ) part
                   where e.created_at >= $1 and e.created_at < $2
               )
               select org_id as "org!: _", currency as "currency!", sum(received)::bigint as "received!",
                      sum(earned)::bigint as "earned!"
               from moved
               group by 1, 2
               having sum(received) <> 0 or sum(earned) <> 0
               order by 1, 2"#,
            from,
            to,
        )
        .fetch_all(db)
        .await
    }
}
