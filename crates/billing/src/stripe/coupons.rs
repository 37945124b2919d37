//! Our coupons, as Stripe needs them for its bills.

use miniserde::Deserialize;
use stripe_product::coupon::{CreateCoupon, RetrieveCoupon};
use stripe_shared::CouponDuration;

use super::{Failure, Stripe, catalogue};
use crate::{Coupon, CouponKind};

#[derive(Debug, Deserialize)]
struct Id {
    id: String,
}

impl Stripe {
    /// Makes sure that Stripe knows a coupon. It has our id there, so it is made once.
    pub(crate) async fn coupon(&self, coupon: &Coupon, currency: &str) -> Result<String, Failure> {
        let id = coupon.id.to_string();
        let known: Result<Id, _> = self.send(&RetrieveCoupon::new(id.as_str()), None).await;
        match known {
            Err(Failure::Refused { status: 404, .. }) => {}
            known => return Ok(known?.id),
        }
        let mut request = CreateCoupon::new().id(id.as_str()).name(coupon.code.as_str());
        request = match coupon.kind {
            CouponKind::Percent => {
                let percent = i32::try_from(coupon.amount).unwrap_or(100);
                request.percent_off(f64::from(percent))
            }
            _ => request.amount_off(coupon.amount).currency(catalogue::currency(currency)),
        };
        request = match coupon.months {
            None => request.duration(CouponDuration::Forever),
            Some(1) => request.duration(CouponDuration::Once),
            Some(months) => {
                request.duration(CouponDuration::Repeating).duration_in_months(i64::from(months))
            }
        };
        let made: Id = self.send(&request, Some(format!("coupon-{id}"))).await?;
        Ok(made.id)
    }
}
