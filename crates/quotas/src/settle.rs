use std::collections::HashMap;

use chrono::{DateTime, Utc};
use db::Db;
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use sqlx::{PgConnection, types::Json};
use usage::{Outcome, Payer, Price, Quantities, Record};
use uuid::Uuid;

use crate::{
    Budget, Grant, Hold, Scope, Unit,
    hold::Draw,
    ledger::{Account, Entry},
};

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which call.
    pub hold: Id<Hold>,
    /// What it used; `None`: the provider billed nothing, and everything is given back.
    pub used: Option<Used>,
}

/// What a call used.
#[derive(Clone, Debug)]
pub struct Used {
    /// How it ended.
    pub outcome: Outcome,
    /// What the provider counted, or our estimate.
    pub quantities: Quantities,
    /// Whether the quantities are our estimate.
    pub estimated: bool,
    /// What that costs us.
    pub cost: NanoUsd,
    /// The credits that a call of this cost draws. More than were reserved are never drawn.
    pub credits: i64,
}

impl Used {
    /// We will never learn what the provider did: the platform bears what was reserved.
    pub(crate) fn unknown(reserved: NanoUsd) -> Self {
        Self {
            outcome: Outcome::Unknown,
            quantities: Quantities::default(),
            estimated: true,
            cost: reserved,
            credits: 0,
        }
    }
}

/// A row of `holds` that has just been deleted.
struct Ended {
    id: Id<Hold>,
    org: Id<Org>,
    user: Id<User>,
    api_key: Option<Id<ApiKey>>,
    project: Option<Uuid>,
    operation: String,
    provider: String,
    model: String,
    price: Id<Price>,
    paid_by: Payer,
    draws: Json<Vec<Draw>>,
    request_id: Option<String>,
    created_at: DateTime<Utc>,
}

/// Books how calls ended, in one commit. Answers for each whether it was still open: a call that
/// was already settled, or given up, is not booked again.
pub(crate) async fn settle_all(
    db: &Db,
    now: DateTime<Utc>,
    settlements: Vec<Settlement>,
) -> sqlx::Result<Vec<bool>> {
    let mut tx = db.begin().await?;
    let open = settle_in(&mut tx, now, &settlements).await?;
    tx.commit().await?;
    Ok(open)
}

/// The same, as part of a transaction.
pub(crate) async fn settle_in(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    settlements: &[Settlement],
) -> sqlx::Result<Vec<bool>> {
    let ids: Vec<Uuid> = settlements.iter().map(|it| it.hold.uuid()).collect();
    let mut ended: HashMap<Id<Hold>, Ended> =
        delete(db, &ids).await?.into_iter().map(|hold| (hold.id, hold)).collect();
    let mut booking = Booking::lock(db, ended.values()).await?;
    let mut open = Vec::with_capacity(settlements.len());
    for settlement in settlements {
        // The first of several settlements of one call counts.
        let hold = ended.remove(&settlement.hold);
        if let Some(hold) = &hold {
            booking.book(hold, settlement.used.as_ref(), now);
        }
        open.push(hold.is_some());
    }
    booking.save(db, now).await?;
    Ok(open)
}

/// Deleting the hold is what makes a call count once.
async fn delete(db: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Ended>> {
    sqlx::query_as!(
        Ended,
        r#"delete from holds
           where id = any($1)
           returning id as "id: _", org_id as "org: _", user_id as "user: _",
                     api_key_id as "api_key: _", project_id as project, operation, provider, model,
                     price_id as "price: _", paid_by as "paid_by: _",
                     draws as "draws: Json<Vec<Draw>>", request_id, created_at"#,
        ids,
    )
    .fetch_all(db)
    .await
}

/// The rows that settling changes, and what it adds.
struct Booking {
    budgets: Vec<Budget>,
    grants: Vec<Grant>,
    entries: Vec<Entry>,
    records: Vec<Record>,
}

impl Booking {
    async fn lock(
        db: &mut PgConnection,
        ended: impl Iterator<Item = &Ended>,
    ) -> sqlx::Result<Self> {
        let (mut budgets, mut grants) = (Vec::new(), Vec::new());
        for draw in ended.flat_map(|hold| &*hold.draws) {
            match draw {
                Draw::Budget { budget, .. } => budgets.push(budget.uuid()),
                Draw::Grant { grant, .. } => grants.push(grant.uuid()),
            }
        }
        let budgets = Budget::lock(db, &budgets).await?;
        let grants = if grants.is_empty() { Vec::new() } else { Grant::lock(db, &grants).await? };
        Ok(Self { budgets, grants, entries: Vec::new(), records: Vec::new() })
    }

    fn book(&mut self, hold: &Ended, used: Option<&Used>, now: DateTime<Utc>) {
        let mut credits = used.map_or(0, |used| used.credits);
        for draw in &*hold.draws {
            match draw {
                Draw::Budget { budget, period_start, amount } => {
                    self.book_budget(*budget, *period_start, *amount, used);
                }
                Draw::Grant { grant, amount } => {
                    let drawn = credits.min(*amount);
                    credits -= drawn;
                    self.book_grant(hold, *grant, *amount, drawn);
                }
            }
        }
        if let Some(used) = used {
            let drawn = used.credits - credits;
            self.records.push(record(hold, used, drawn, now));
        }
    }

    fn book_budget(
        &mut self,
        id: Id<Budget>,
        period_start: DateTime<Utc>,
        reserved: i64,
        used: Option<&Used>,
    ) {
        let same_period = |it: &&mut Budget| it.id == id && it.period_start == period_start;
        // A budget that was removed, or whose period is over, no longer decides anything.
        let Some(budget) = self.budgets.iter_mut().find(same_period) else { return };
        budget.held -= reserved;
        let Some(used) = used else { return };
        let actual = match budget.unit {
            Unit::Requests => 1,
            Unit::Tokens => used.quantities.tokens(),
            Unit::NanoUsd => used.cost.0,
        };
        let counted = match (budget.scope, used.outcome) {
            // What we do not know for certain is counted at the most that it can be.
            (Scope::Global, Outcome::Unknown) => reserved,
            (Scope::Global, _) if used.estimated => actual.max(reserved),
            // The platform really pays it, even beyond what was reserved.
            (Scope::Global, _) => actual,
            // Nobody's fault but ours.
            (_, Outcome::Unknown) => 0,
            (_, _) => actual.min(reserved),
        };
        budget.spent = budget.spent.saturating_add(counted);
    }

    fn book_grant(&mut self, hold: &Ended, id: Id<Grant>, reserved: i64, drawn: i64) {
        let Some(grant) = self.grants.iter_mut().find(|it| it.id == id) else { return };
        grant.held -= reserved;
        grant.spent += drawn;
        if drawn > 0 {
            self.entries.push(Entry {
                org: hold.org,
                from: Account::Available,
                to: Account::Spent,
                credits: drawn,
                grant: id,
                external_id: format!("hold:{}:{id}", hold.id),
            });
        }
    }

    async fn save(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        let budgets: Vec<&Budget> = self.budgets.iter().collect();
        Budget::save_counters(db, &budgets).await?;
        if !self.grants.is_empty() {
            Grant::save_counters(db, &self.grants.iter().collect::<Vec<_>>()).await?;
        }
        if !self.entries.is_empty() {
            Entry::insert_all(db, &self.entries, now).await?;
        }
        if !self.records.is_empty() {
            Record::insert_all(db, &self.records).await?;
        }
        Ok(())
    }
}

fn record(hold: &Ended, used: &Used, credits: i64, now: DateTime<Utc>) -> Record {
    Record {
        id: hold.id.uuid(),
        org: hold.org,
        user: Some(hold.user),
        api_key: hold.api_key,
        project_id: hold.project,
        operation: hold.operation.clone(),
        provider: hold.provider.clone(),
        model: hold.model.clone(),
        price_id: hold.price,
        outcome: used.outcome,
        paid_by: if used.outcome == Outcome::Unknown { Payer::Platform } else { hold.paid_by },
        quantities: used.quantities,
        estimated: used.estimated,
        cost_nano_usd: used.cost,
        credits,
        request_id: hold.request_id.clone(),
        reserved_at: hold.created_at,
        created_at: now,
    }
}
