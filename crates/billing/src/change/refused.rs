use axum::http::StatusCode;
use web::Problem;

use crate::Failure;

/// Why a subscription was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeRefused {
    /// Nothing was asked for.
    #[error("nothing is to be changed")]
    Nothing,
    /// The plan sells no seats, or not so many.
    #[error("the plan {plan} has no such number of further seats")]
    NoSuchSeats {
        /// Its name.
        plan: String,
    },
    /// The plan offers no overage, or not so much.
    #[error("the plan {plan} offers at most {most} credits of overage")]
    NoSuchOverage {
        /// Its name.
        plan: String,
        /// How many.
        most: i64,
    },
    /// More people than seats.
    #[error("{used} people belong to the organization, but there would be {seats} seats")]
    SeatsInUse {
        /// People.
        used: i64,
        /// Seats.
        seats: i64,
    },
    /// It cannot be changed as it stands.
    #[error("the subscription cannot be changed as it stands")]
    NotChangeable {
        /// What can be done.
        way_on: &'static str,
    },
    /// Another change waits for Stripe's answer.
    #[error("another change of the subscription is just being made")]
    InProgress,
    /// The bank will not pay for it.
    #[error("the payment was declined, and nothing was changed")]
    Declined(#[source] Failure),
}

impl From<ChangeRefused> for Problem {
    fn from(refused: ChangeRefused) -> Self {
        let detail = refused.to_string();
        match refused {
            ChangeRefused::Nothing => Self::unprocessable("nothing_to_change", detail)
                .action("Send item, extra_seats, overage_credits or cancel_at_period_end."),
            ChangeRefused::NoSuchSeats { .. } => Self::unprocessable("no_such_seats", detail)
                .action("See GET /v1/plans: seat_month_cents is 0 where no seats can be added."),
            ChangeRefused::NoSuchOverage { .. } => Self::unprocessable("no_such_overage", detail)
                .action("See GET /v1/plans. Plans that are paid yearly offer none."),
            ChangeRefused::SeatsInUse { .. } => Self::conflict("seats_in_use", detail)
                .action("Remove members first, or keep more seats."),
            ChangeRefused::NotChangeable { way_on } => {
                Self::conflict("subscription_not_changeable", detail).action(way_on)
            }
            ChangeRefused::InProgress => Self::conflict("change_in_progress", detail)
                .action("Wait a moment and repeat your request."),
            ChangeRefused::Declined(failure) => {
                Self::new(StatusCode::PAYMENT_REQUIRED, "payment_declined", detail)
                    .action("Change the card: POST /v1/billing/portal-sessions opens the portal.")
                    .because(failure)
            }
        }
    }
}
