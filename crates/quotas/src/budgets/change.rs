use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;
use web::{IfMatch, Problem};

use super::view::BudgetView;
use crate::{Budget, Error, Kind, NewBudget, Period, Quotas, Result, Scope, Unit};

/// So many of one org: each is locked by every call.
const MOST: i64 = 50;
/// Beyond what can be used, and far from where sums overflow.
const LARGEST: i64 = i64::MAX / 16;

/// A budget to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetInput {
    /// Whose use it counts.
    pub scope: Scope,
    /// The project, person or API key; only with these scopes.
    pub subject_id: Option<Uuid>,
    /// How long it lasts before it begins anew, in the org's time zone.
    pub period: Period,
    /// What it counts.
    pub unit: Unit,
    /// The one operation it counts; absent: all.
    #[schema(example = "chat", max_length = 40)]
    pub operation: Option<String>,
    /// Whether it only alerts and stops nothing.
    #[serde(default)]
    pub soft: bool,
    /// How much may be used in a period.
    #[schema(minimum = 0)]
    pub amount: i64,
}

/// What to change of a budget; what is absent stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetChanges {
    /// How much may be used in a period. What was used stays used.
    #[schema(minimum = 0)]
    pub amount: Option<i64>,
    /// Whether it only alerts and stops nothing.
    pub soft: Option<bool>,
}

/// More, for a while.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RaiseInput {
    /// How much more.
    #[schema(minimum = 1)]
    pub by: i64,
    /// Until then.
    pub until: DateTime<Utc>,
}

impl BudgetInput {
    fn check(&self, org: Option<Id<Org>>) -> web::Result<()> {
        check_amount("/amount", self.amount, 0)?;
        if (self.scope == Scope::Global) != org.is_none() {
            return Err(Problem::invalid_field("/scope", "is not one that can be set here"));
        }
        let needs_subject = matches!(self.scope, Scope::Project | Scope::User | Scope::Key);
        if needs_subject != self.subject_id.is_some() {
            let detail = "must be given with the scopes project, user and key, and only with them";
            return Err(Problem::invalid_field("/subject_id", detail));
        }
        if self.unit == Unit::Unknowns {
            return Err(Problem::invalid_field("/unit", "is kept by the product itself"));
        }
        let is_word = |text: &String| {
            (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase())
        };
        if !self.operation.as_ref().is_none_or(is_word) {
            return Err(Problem::invalid_field("/operation", "must be 1 to 40 letters a to z"));
        }
        Ok(())
    }
}

fn check_amount(pointer: &str, amount: i64, least: i64) -> web::Result<()> {
    if (least..=LARGEST).contains(&amount) {
        return Ok(());
    }
    Err(Problem::invalid_field(pointer, format!("must be between {least} and {LARGEST}")))
}

/// Every change holds for the next call that is decided, on every instance.
impl Quotas {
    /// Makes a budget for `org`, or for the platform.
    pub async fn create_budget(
        &self,
        org: Option<Id<Org>>,
        input: &BudgetInput,
        origin: &Origin,
    ) -> Result<BudgetView> {
        input.check(org)?;
        let now = self.clock().now();
        let mut tx = self.db().begin().await?;
        let mine = BudgetView::list(&mut tx, org, now).await?;
        if i64::try_from(mine.len()).unwrap_or(MOST) >= MOST {
            return Err(Error::TooManyBudgets { most: MOST });
        }
        let same = |it: &&BudgetView| {
            (it.scope, it.subject_id, it.period, it.unit)
                == (input.scope, input.subject_id, input.period, input.unit)
                && it.operation == input.operation
        };
        if let Some(same) = mine.iter().find(same) {
            return Err(Error::BudgetExists { id: same.id });
        }
        let new = NewBudget {
            scope: input.scope,
            org,
            subject: input.subject_id,
            kind: Kind::Limit,
            period: input.period,
            unit: input.unit,
            operation: input.operation.clone(),
            soft: input.soft,
            amount: input.amount,
        };
        let id = new.set(&mut tx, now).await?;
        let budget = BudgetView::get(&mut tx, org, id, now).await?;
        let entry = Entry::new(origin, org, "budget.created", id).after(json!(budget));
        entry.record(&mut tx, now).await?;
        tx.commit().await?;
        Ok(budget)
    }

    /// Changes a budget of `org`, or of the platform.
    pub async fn change_budget(
        &self,
        org: Option<Id<Org>>,
        id: Id<Budget>,
        changes: &BudgetChanges,
        if_match: IfMatch,
        origin: &Origin,
    ) -> Result<BudgetView> {
        if let Some(amount) = changes.amount {
            check_amount("/amount", amount, 0)?;
        }
        let now = self.clock().now();
        let mut tx = self.db().begin().await?;
        let before = BudgetView::lock(&mut tx, org, id, now).await?;
        if_match.check(before.version)?;
        sqlx::query!(
            "update budgets
             set amount = $2, soft = $3, highest_amount = greatest(highest_amount, $2 + raised_by)
             where id = $1",
            id as _,
            changes.amount.unwrap_or(before.amount),
            changes.soft.unwrap_or(before.soft),
        )
        .execute(&mut *tx)
        .await?;
        let after = BudgetView::get(&mut tx, org, id, now).await?;
        let entry = Entry::new(origin, org, "budget.changed", id);
        entry.before(json!(before)).after(json!(after)).record(&mut tx, now).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Raises a budget for a while, instead of any raise before; `None`: takes the raise back.
    pub async fn raise_budget(
        &self,
        org: Option<Id<Org>>,
        id: Id<Budget>,
        raise: Option<&RaiseInput>,
        origin: &Origin,
    ) -> Result<BudgetView> {
        let now = self.clock().now();
        if let Some(raise) = raise {
            check_amount("/by", raise.by, 1)?;
            if raise.until <= now {
                return Err(Problem::invalid_field("/until", "must be in the future").into());
            }
        }
        let mut tx = self.db().begin().await?;
        let before = BudgetView::lock(&mut tx, org, id, now).await?;
        sqlx::query!(
            "update budgets
             set raised_by = $2, raised_until = $3, highest_amount = greatest(highest_amount, amount + $2)
             where id = $1",
            id as _,
            raise.map_or(0, |raise| raise.by),
            raise.map(|raise| raise.until),
        )
        .execute(&mut *tx)
        .await?;
        let after = BudgetView::get(&mut tx, org, id, now).await?;
        let entry = Entry::new(origin, org, "budget.raised", id);
        entry.before(json!(before)).after(json!(after)).record(&mut tx, now).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// Removes a budget. Calls in flight that counted for it end as usual.
    pub async fn remove_budget(
        &self,
        org: Option<Id<Org>>,
        id: Id<Budget>,
        if_match: IfMatch,
        origin: &Origin,
    ) -> Result<()> {
        let now = self.clock().now();
        let mut tx = self.db().begin().await?;
        let before = BudgetView::lock(&mut tx, org, id, now).await?;
        if_match.check(before.version)?;
        sqlx::query!("delete from budgets where id = $1", id as _).execute(&mut *tx).await?;
        let entry = Entry::new(origin, org, "budget.removed", id).before(json!(before));
        entry.record(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }
}
