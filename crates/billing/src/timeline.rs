use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

/// One thing that happened to an org's money or credits.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineItem {
    /// When. Of credits spent one after the other: when the last one was.
    pub at: DateTime<Utc>,
    /// What: `event` (from Stripe), `plan` (as it stands from then on), `refund_requested`, a movement of
    /// money (`payment`, `refund`, `refund_failed`, `dispute`, `dispute_won`, `dispute_lost`, `fee`) or of
    /// credits (`overage_allowed`, `credits_given`, `credits_spent`, `credits_expired`, `credits_taken_back`,
    /// `credits_given_back`, `debt_paid`, `credits_moved`).
    #[schema(example = "payment")]
    pub kind: String,
    /// The object at Stripe, or what credits were given for.
    pub subject: String,
    /// What there is to say about it.
    pub detail: String,
    /// `credits`, or the currency.
    pub unit: Option<String>,
    /// By how much the balance changed, in that unit (money: in its smallest unit).
    pub change: Option<i64>,
    /// The balance afterwards: credits that can be spent or are in flight, or money that is with Stripe for us.
    pub balance: Option<i64>,
}

impl TimelineItem {
    /// An org's money from its first event to its balance. Credits spent one after the other are one item.
    pub async fn of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"with entries as (
                   select e.id, e.created_at, e.unit, e.external_id, e.from_account, e.to_account, e.amount,
                          g.external_id as given_for,
                          e.to_account = 'spent' as is_spent,
                          case when e.to_account in ('available', 'stripe') then e.amount
                               when e.from_account in ('available', 'stripe') then -e.amount
                               else 0 end as change,
                          count(*) filter (where e.to_account <> 'spent')
                              over (partition by e.unit order by e.created_at, e.id) as stretch
                   from ledger_entries e
                   left join grants g on g.id = e.grant_id
                   where e.org_id = $1),
               folded as (
                   select max(created_at) as at, max(id::text) as id, unit, is_spent, min(external_id) as external_id,
                          min(from_account) as from_account, min(to_account) as to_account,
                          min(given_for) as given_for, count(*) as entries, sum(amount)::bigint as amount,
                          sum(change)::bigint as change
                   from entries
                   group by unit, stretch, is_spent),
               items as (
                   select at, id,
                          case when unit <> 'credits' then split_part(external_id, ':', 1)
                               when from_account = 'issued' and given_for like 'overage/%' then 'overage_allowed'
                               when from_account = 'issued' then 'credits_given'
                               when is_spent then 'credits_spent'
                               when to_account = 'clawed_back' then 'credits_taken_back'
                               when from_account = 'clawed_back' then 'credits_given_back'
                               when to_account = 'expired' then 'credits_expired'
                               when 'debt' in (from_account, to_account) then 'debt_paid'
                               else 'credits_moved' end as kind,
                          case when unit <> 'credits' then split_part(external_id, ':', 2)
                               when is_spent then format('%s calls', entries)
                               else given_for end as subject,
                          format('%s from %s to %s', amount, from_account, to_account) as detail,
                          unit, change,
                          (sum(change) over (partition by unit order by at, id))::bigint as balance
                   from folded
                   union all
                   select e.received_at, e.id, 'event', e.id, e.type || ', ' || coalesce(e.outcome, 'waiting'),
                          null, null, null
                   from stripe_events e
                   where e.customer_id in (select customer_id from stripe_customers where org_id = $1)
                      -- Those of refunds and disputes name no customer.
                      or e.payment_intent_id in (select payment_intent_id from payments where org_id = $1)
                   union all
                   select created_at, id::text, 'refund_requested', coalesce(stripe_id, id::text),
                          format('%s %s, %s: %s', amount_cents, currency, status, reason), null, null, null
                   from refunds
                   where org_id = $1 and requested_by is not null
                   union all
                   select created_at, id::text, 'plan', plan,
                          format('%s, per %s, until %s%s', status, billing_interval, period_end::date,
                                 case when cancels then ', ends then' else '' end), null, null, null
                   from subscription_history
                   where org_id = $1)
               select at as "at!", kind as "kind!", coalesce(subject, '') as "subject!", detail as "detail!",
                      unit, change, balance
               from items
               order by at, id"#,
            org as _,
        )
        .fetch_all(db)
        .await
    }
}
