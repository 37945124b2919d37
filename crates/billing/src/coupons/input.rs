use audit::{Actor, Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Deserialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use web::Problem;

use super::{Coupon, CouponKind};
use crate::{Billing, CatalogueVersion};

/// A coupon to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponInput {
    /// What people enter: 3 to 40 letters, digits and hyphens.
    #[schema(example = "SPRING27", pattern = "^[A-Za-z0-9-]{3,40}$")]
    code: String,
    /// What it gives.
    kind: CouponKind,
    /// How much: percent (1 to 100), cents or credits.
    #[schema(minimum = 1, maximum = 1_000_000)]
    amount: i64,
    /// What it can be used for: plans and packs by id; empty: everything. Not with credits.
    #[serde(default)]
    #[schema(max_items = 50)]
    items: Vec<String>,
    /// For how many months of a plan it holds; absent: for all.
    #[schema(minimum = 1, maximum = 120)]
    months: Option<i32>,
    /// How often it can be used in all; absent: any number of times.
    #[schema(minimum = 1)]
    max_redemptions: Option<i64>,
    /// When it ends; absent: never.
    expires_at: Option<DateTime<Utc>>,
}

impl Billing {
    /// Makes a coupon.
    pub async fn create_coupon(
        &self,
        db: &mut PgConnection,
        input: CouponInput,
        origin: &Origin,
    ) -> web::Result<Coupon> {
        let now = self.clock.now();
        input.check(now)?;
        let catalogue = CatalogueVersion::newest(&mut *db).await?.catalogue;
        let known = |item: &&String| {
            catalogue.plan(item).is_some() || catalogue.packs().iter().any(|it| it.id == **item)
        };
        if let Some(at) = input.items.iter().position(|item| !known(&item)) {
            let pointer = format!("/items/{at}");
            return Err(Problem::invalid_field(&pointer, "must be the id of a plan or pack"));
        }
        let created_by = match origin.actor {
            Actor::Operator(id) => Some(id),
            _ => None,
        };
        let coupon = Coupon {
            id: Id::new(),
            code: input.code,
            kind: input.kind,
            amount: input.amount,
            items: input.items,
            months: input.months,
            max_redemptions: input.max_redemptions,
            redeemed: 0,
            expires_at: input.expires_at,
            disabled_at: None,
            created_by,
            created_at: now,
        };
        if !coupon.insert(db).await? {
            return Err(Problem::conflict("coupon_code_taken", "there is a coupon with this code"));
        }
        let entry = Entry::new(origin, None, "coupon.created", coupon.id);
        entry.after(json!(coupon)).record(db, now).await?;
        Ok(coupon)
    }

    /// Switches a coupon off. What it gave stays given.
    pub async fn disable_coupon(
        &self,
        db: &mut PgConnection,
        id: Id<Coupon>,
        origin: &Origin,
    ) -> web::Result<()> {
        let now = self.clock.now();
        let disabled = sqlx::query!(
            "update coupons set disabled_at = coalesce(disabled_at, $2) where id = $1",
            id as _,
            now,
        );
        if disabled.execute(&mut *db).await?.rows_affected() == 0 {
            return Err(Problem::not_found("no_such_coupon", "there is no such coupon"));
        }
        Ok(Entry::new(origin, None, "coupon.disabled", id).record(db, now).await?)
    }
}

impl CouponInput {
    fn check(&self, now: DateTime<Utc>) -> Result<(), Problem> {
        let sign = |it: u8| it.is_ascii_alphanumeric() || it == b'-';
        let code = (3..=40).contains(&self.code.len()) && self.code.bytes().all(sign);
        let most = if self.kind == CouponKind::Percent { 100 } else { 1_000_000 };
        let credits = self.kind == CouponKind::Credits;
        for (wrong, pointer, detail) in [
            (!code, "/code", "must be 3 to 40 letters, digits and hyphens"),
            (
                !(1..=most).contains(&self.amount),
                "/amount",
                "must be 1 to 1000000, or 1 to 100 percent",
            ),
            (
                self.items.len() > 50 || (credits && !self.items.is_empty()),
                "/items",
                "must be at most 50, and none with credits",
            ),
            (self.months.is_some_and(|it| !(1..=120).contains(&it)), "/months", "must be 1 to 120"),
            (
                self.max_redemptions.is_some_and(|it| it < 1),
                "/max_redemptions",
                "must be at least 1",
            ),
            (self.expires_at.is_some_and(|end| end <= now), "/expires_at", "must be in the future"),
        ] {
            if wrong {
                return Err(Problem::invalid_field(pointer, detail));
            }
        }
        Ok(())
    }
}

impl Coupon {
    /// Stores it; `false`: its code is taken.
    async fn insert(&self, db: &mut PgConnection) -> sqlx::Result<bool> {
        let inserted = sqlx::query!(
            "insert into coupons
                 (id, code, kind, amount, items, months, max_redemptions, expires_at, created_by,
                  created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             on conflict do nothing",
            self.id as _,
            self.code,
            self.kind as _,
            self.amount,
            &self.items,
            self.months,
            self.max_redemptions,
            self.expires_at,
            self.created_by as _,
            self.created_at,
        );
        Ok(inserted.execute(db).await?.rows_affected() == 1)
    }
}
