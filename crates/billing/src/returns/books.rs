use chrono::{DateTime, Utc};
use quotas::{MoneyAccount, MoneyEntry};
use sqlx::PgConnection;

use super::Paid;
use crate::{dispute, refund, stripe, stripe::BalanceTransaction};

/// Books that a refund left, or that it came back because it failed.
pub(super) async fn refund(
    db: &mut PgConnection,
    paid: &Paid,
    refund: &stripe::Refund,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let left = format!("refund:{}", refund.id);
    if refund::is_gone(refund.status.as_deref().unwrap_or("pending")) {
        let entry = MoneyEntry {
            org: paid.org,
            from: MoneyAccount::Stripe,
            to: MoneyAccount::Customer,
            amount: refund.amount,
            currency: &refund.currency,
            external_id: left,
        };
        entry.book(db, now).await?;
    } else {
        MoneyEntry::undo(db, &left, &format!("refund_failed:{}", refund.id), now).await?;
    }
    Ok(())
}

/// Books that the money of a dispute was withdrawn, is lost, or came back.
pub(super) async fn dispute(
    db: &mut PgConnection,
    paid: &Paid,
    dispute: &stripe::Dispute,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let named = |what: &str| format!("{what}:{}", dispute.id);
    let entry = |from, to, external_id| MoneyEntry {
        org: paid.org,
        from,
        to,
        amount: dispute.amount,
        currency: &dispute.currency,
        external_id,
    };
    if dispute::is_gone(&dispute.status) {
        let withdrawn = entry(MoneyAccount::Stripe, MoneyAccount::Disputed, named("dispute"));
        withdrawn.book(&mut *db, now).await?;
    }
    match dispute.status.as_str() {
        "lost" => {
            let lost = named("dispute_lost");
            entry(MoneyAccount::Disputed, MoneyAccount::Customer, lost).book(&mut *db, now).await?;
        }
        "won" => {
            let (lost, recovered) = (named("dispute_lost"), named("dispute_recovered"));
            MoneyEntry::undo(&mut *db, &lost, &recovered, now).await?;
            MoneyEntry::undo(&mut *db, &named("dispute"), &named("dispute_won"), now).await?;
        }
        _ => {}
    }
    for transaction in dispute.balance_transactions.iter().flatten() {
        fee(&mut *db, paid, transaction, now).await?;
    }
    Ok(())
}

/// Books what Stripe keeps of a movement of our balance, or gives back of it. `true`: it was not booked.
pub(crate) async fn fee(
    db: &mut PgConnection,
    paid: &Paid,
    transaction: &BalanceTransaction,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let (from, to) = match transaction.fee {
        1.. => (MoneyAccount::Stripe, MoneyAccount::Fees),
        _ => (MoneyAccount::Fees, MoneyAccount::Stripe),
    };
    let entry = MoneyEntry {
        org: paid.org,
        from,
        to,
        amount: transaction.fee.abs(),
        currency: &transaction.currency,
        external_id: format!("fee:{}", transaction.id),
    };
    entry.book(db, now).await
}
