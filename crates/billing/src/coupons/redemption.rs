use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use quotas::{GrantSource, NewGrant};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::{Coupon, CouponRefused};
use crate::{Billing, Checkout, Result};

/// What redeeming a coupon gave.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CouponRedemption)]
pub(crate) struct Redeemed {
    /// Its code.
    code: String,
    /// Credits.
    credits: i64,
}

impl Billing {
    /// Redeems a coupon for credits.
    pub(super) async fn redeem(
        &self,
        org: Id<Org>,
        user: Id<User>,
        code: &str,
    ) -> Result<Redeemed> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let coupon = redeem(&mut tx, org, user, code, None, now).await?;
        let grant = NewGrant {
            org,
            source: GrantSource::Promo,
            amount: coupon.amount,
            expires_at: None,
            external_id: format!("coupon:{}:{org}", coupon.id),
        };
        grant.give(&mut tx, now).await?;
        tx.commit().await?;
        Ok(Redeemed { code: coupon.code, credits: coupon.amount })
    }

    /// Redeems a coupon for a purchase that is being stored; without the purchase nothing is redeemed.
    pub(crate) async fn redeem_for(
        &self,
        db: &mut PgConnection,
        checkout: &Checkout,
        user: Id<User>,
        code: &str,
    ) -> Result<Coupon> {
        redeem(db, checkout.org, user, code, Some(checkout), self.clock.now()).await
    }
}

/// Takes one redemption of a coupon. The coupon's row is locked, so that the last one is taken once.
async fn redeem(
    db: &mut PgConnection,
    org: Id<Org>,
    user: Id<User>,
    code: &str,
    checkout: Option<&Checkout>,
    now: DateTime<Utc>,
) -> Result<Coupon> {
    let coupon = Coupon::lock(db, code).await?.ok_or(CouponRefused::Unknown)?;
    coupon.check(checkout.map(|it| it.item.as_str()), now)?;
    let noted = sqlx::query!(
        "insert into coupon_redemptions (id, coupon_id, org_id, user_id, checkout_id, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
        Id::<Redeemed>::new() as _,
        coupon.id as _,
        org as _,
        user as _,
        checkout.map(|it| it.id) as _,
        now,
    );
    if noted.execute(&mut *db).await?.rows_affected() == 0 {
        return Err(CouponRefused::Redeemed.into());
    }
    sqlx::query!("update coupons set redeemed = redeemed + 1 where id = $1", coupon.id as _)
        .execute(db)
        .await?;
    Ok(coupon)
}

/// Gives back the redemption of a purchase that did not come about.
pub(crate) async fn release(db: &mut PgConnection, checkout: Id<Checkout>) -> sqlx::Result<()> {
    sqlx::query!(
        "with released as (
             delete from coupon_redemptions where checkout_id = $1 returning coupon_id
         )
         update coupons set redeemed = redeemed - 1
         where id in (select coupon_id from released)",
        checkout as _,
    )
    .execute(db)
    .await?;
    Ok(())
}
