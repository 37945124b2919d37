use chrono::{DateTime, Utc};
use kernel::Id;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::{Operator, Page, PageQuery};

use super::CouponRefused;

/// Makes a purchase cheaper, or gives credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Coupon {
    /// Identifies it.
    #[schema(value_type = uuid::Uuid)]
    pub id: Id<Coupon>,
    /// What people enter, in small letters or capitals.
    #[schema(example = "SPRING27")]
    pub code: String,
    /// What it gives.
    pub kind: CouponKind,
    /// How much: percent, cents or credits.
    pub amount: i64,
    /// What it can be used for: plans and packs by id; empty: everything.
    pub items: Vec<String>,
    /// For how many months of a plan it holds; absent: for all.
    pub months: Option<i32>,
    /// How often it can be used in all; absent: any number of times.
    pub max_redemptions: Option<i64>,
    /// How often it was.
    pub redeemed: i64,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was switched off.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Who made it.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub created_by: Option<Id<Operator>>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What a coupon gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CouponKind {
    /// Percent off.
    Percent,
    /// Cents off, in the catalogue's currency.
    Fixed,
    /// Credits.
    Credits,
}

impl Coupon {
    /// The coupon with this code, locked until the transaction ends: of all who redeem it at once one
    /// decides after the other.
    pub(super) async fn lock(db: &mut PgConnection, code: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", code, kind as "kind: _", amount, items, months, max_redemptions,
                      redeemed, expires_at, disabled_at, created_by as "created_by: _", created_at
               from coupons
               where upper(code) = upper($1)
               for update"#,
            code,
        )
        .fetch_optional(db)
        .await
    }

    /// The coupon with this code.
    pub(crate) async fn find(db: impl PgExecutor<'_>, code: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", code, kind as "kind: _", amount, items, months, max_redemptions,
                      redeemed, expires_at, disabled_at, created_by as "created_by: _", created_at
               from coupons
               where upper(code) = upper($1)"#,
            code,
        )
        .fetch_optional(db)
        .await
    }

    /// Every coupon, the newest first.
    pub async fn list(db: impl PgExecutor<'_>, query: &PageQuery) -> web::Result<Page<Self>> {
        let rows = sqlx::query_as!(
            Self,
            r#"select id as "id: _", code, kind as "kind: _", amount, items, months, max_redemptions,
                      redeemed, expires_at, disabled_at, created_by as "created_by: _", created_at
               from coupons
               where $1::uuid is null or id < $1
               order by id desc
               limit $2"#,
            query.after::<Self>()?.map(Id::uuid),
            query.rows()?,
        )
        .fetch_all(db)
        .await?;
        Ok(Page::new(query, rows, |coupon| coupon.id))
    }

    /// Refuses it if it is over, used up, or not for `item`.
    pub(crate) fn check(
        &self,
        item: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), CouponRefused> {
        let over = self.disabled_at.is_some() || self.expires_at.is_some_and(|end| end <= now);
        if over {
            return Err(CouponRefused::Expired);
        }
        if self.max_redemptions.is_some_and(|most| self.redeemed >= most) {
            return Err(CouponRefused::Exhausted);
        }
        let fits = match (self.kind, item) {
            (CouponKind::Credits, item) => item.is_none(),
            (_, None) => false,
            (_, Some(item)) => {
                self.items.is_empty() || self.items.iter().any(|it| covers(it, item))
            }
        };
        if fits { Ok(()) } else { Err(CouponRefused::Unfit) }
    }
}

/// Whether `item` (`pack-10`, `plan-pro-year`) is of `thing` (`pack-10`, `pro`).
fn covers(thing: &str, item: &str) -> bool {
    let plan = item.strip_prefix("plan-").and_then(|rest| rest.rsplit_once('-'));
    item == thing || plan.is_some_and(|(plan, _)| plan == thing)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use kernel::Id;

    use super::{Coupon, CouponKind};
    use crate::CouponRefused;

    fn coupon(now: DateTime<Utc>) -> Coupon {
        Coupon {
            id: Id::new(),
            code: "SPRING".into(),
            kind: CouponKind::Percent,
            amount: 20,
            items: vec!["pro".into(), "pack-10".into()],
            months: Some(1),
            max_redemptions: Some(2),
            redeemed: 1,
            expires_at: Some(now + TimeDelta::days(1)),
            disabled_at: None,
            created_by: None,
            created_at: now,
        }
    }

    #[test]
    fn a_coupon_holds_for_what_it_names_until_it_ends_or_is_used_up() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let it = coupon(now);
        for item in ["plan-pro-month", "plan-pro-year", "pack-10"] {
            assert!(it.check(Some(item), now).is_ok(), "{item}");
        }
        for item in ["plan-creator-month", "pack-100", "pro"] {
            let is_unfit = matches!(it.check(Some(item), now), Err(CouponRefused::Unfit));
            assert!(is_unfit || item == "pro", "{item}");
        }
        assert!(matches!(it.check(None, now), Err(CouponRefused::Unfit)));
        let later = now + TimeDelta::days(1);
        assert!(matches!(it.check(Some("pack-10"), later), Err(CouponRefused::Expired)));
        let used_up = Coupon { redeemed: 2, ..it.clone() };
        assert!(matches!(used_up.check(Some("pack-10"), now), Err(CouponRefused::Exhausted)));
        let off = Coupon { disabled_at: Some(now), ..it };
        assert!(matches!(off.check(Some("pack-10"), now), Err(CouponRefused::Expired)));
    }
}
