use axum::http::StatusCode;
use web::Problem;

/// Why a coupon gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CouponRefused {
    /// Nobody made one with this code.
    #[error("there is no such coupon")]
    Unknown,
    /// It ended or was switched off.
    #[error("this coupon is no longer valid")]
    Expired,
    /// All its redemptions are taken.
    #[error("this coupon is used up")]
    Exhausted,
    /// This person or org has redeemed it.
    #[error("this coupon was redeemed by you or your organization before")]
    Redeemed,
    /// It is for something else.
    #[error("this coupon is not for that")]
    Unfit,
}

impl From<CouponRefused> for Problem {
    fn from(refused: CouponRefused) -> Self {
        let without = "Go on without a coupon, or with another one.";
        let (status, code, action) = match refused {
            CouponRefused::Unknown => (
                StatusCode::NOT_FOUND,
                "no_such_coupon",
                "Check the code. A promotion code of Stripe's is entered on the payment page.",
            ),
            CouponRefused::Expired => (StatusCode::CONFLICT, "coupon_expired", without),
            CouponRefused::Exhausted => (StatusCode::CONFLICT, "coupon_exhausted", without),
            CouponRefused::Redeemed => (StatusCode::CONFLICT, "coupon_redeemed", without),
            CouponRefused::Unfit => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "coupon_unfit",
                "One for credits is redeemed with POST /v1/billing/coupon-redemptions; one for a \
                 purchase is named with what it is for.",
            ),
        };
        Self::new(status, code, refused.to_string()).action(action)
    }
}
