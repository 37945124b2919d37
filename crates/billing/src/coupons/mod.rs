//! Our own coupons: percent or an amount off a purchase, or credits.
//!
//! Stripe's promotion codes are another thing: they are made in its dashboard and entered on its page.
//! One purchase has one discount: who names a coupon of ours is not asked for such a code.

mod coupon;
mod input;
mod redemption;
mod refused;
mod routes;

pub use coupon::{Coupon, CouponKind};
pub use input::CouponInput;
pub(crate) use redemption::release;
pub use refused::CouponRefused;
pub(crate) use routes::routes;
