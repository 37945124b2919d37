create or replace view money_violations as
select 'payment_is_booked' as rule, p.id::text as subject,
       format('paid %s %s, booked %s', p.amount_cents, p.currency, coalesce(e.amount, 0)) as detail
from payments p
left join ledger_entries e on e.external_id = 'payment:' || p.stripe_id and e.unit = p.currency
where p.amount_cents <> coalesce(e.amount, 0)
union all
select 'refund_is_booked', r.id::text,
       format('%s of %s, booked %s', r.status, r.amount_cents, coalesce(e.amount, 0) - coalesce(b.amount, 0))
from refunds r
left join ledger_entries e on e.external_id = 'refund:' || r.stripe_id and e.unit = r.currency
left join ledger_entries b on b.external_id = 'refund_failed:' || r.stripe_id and b.unit = r.currency
where coalesce(e.amount, 0) - coalesce(b.amount, 0)
      <> case when r.status in ('pending', 'succeeded') then r.amount_cents else 0 end
union all
select 'refunds_are_at_most_what_was_paid', p.id::text, format('paid %s, refunded %s', p.amount_cents, r.amount)
from payments p
join (select payment_id, sum(amount_cents) as amount from refunds
      where status not in ('failed', 'canceled') group by payment_id) r on r.payment_id = p.id
where r.amount > p.amount_cents
union all
select 'return_is_in_the_currency_of_its_payment', p.id::text, format('%s, not %s', p.currency, r.currency)
from payments p
join (select payment_id, currency from refunds union select payment_id, currency from disputes) r
     on r.payment_id = p.id and r.currency <> p.currency
union all
select 'returned_is_what_refunds_and_disputes_add_up_to', p.id::text,
       format('shows %s, should %s', p.returned_cents, least(p.amount_cents, r.amount))
from payments p
join lateral (
    select coalesce(sum(amount_cents), 0)::bigint as amount
    from (select amount_cents from refunds
          where payment_id = p.id and status in ('pending', 'succeeded')
          union all
          select amount_cents from disputes
          where payment_id = p.id and status in ('needs_response', 'under_review', 'lost')) it) r on true
where p.returned_cents <> least(p.amount_cents, r.amount)
union all
select 'dispute_is_booked', d.id::text, format('%s of %s, disputed %s', d.status, d.amount_cents, e.disputed)
from disputes d
join lateral (
    select coalesce(sum(case 'disputed' when to_account then amount when from_account then -amount end), 0)::bigint
               as disputed,
           coalesce(sum(case 'customer' when to_account then amount when from_account then -amount end), 0)::bigint
               as lost
    from ledger_entries
    where external_id in ('dispute:' || d.stripe_id, 'dispute_won:' || d.stripe_id,
                          'dispute_lost:' || d.stripe_id, 'dispute_recovered:' || d.stripe_id)
) e on true
where e.disputed <> case when d.status in ('needs_response', 'under_review') then d.amount_cents else 0 end
   or e.lost <> case when d.status = 'lost' then d.amount_cents else 0 end;
