use web::Problem;

use super::founding::FREE_ORGS;

/// Why somebody's place in an org stays, or does not become, what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipRefused {
    /// Nobody would answer for the org any more.
    #[error("an organization needs an owner, and this is the last one")]
    LastOwner,
    /// Admins run the org for its owners.
    #[error("only owners may change owners, or make somebody one")]
    OwnersOnly,
    /// The plan has a place for each person, and all are taken.
    #[error("every seat of the plan is taken")]
    NoSeat,
    /// Nobody of that id is in the org.
    #[error("there is no such member")]
    NotFound,
    /// One's own place changes by leaving or by a transfer of ownership.
    #[error("nobody changes their own role or removes themselves here")]
    Oneself,
    /// Somebody has too many orgs that nobody pays for.
    #[error("nobody owns more than {FREE_ORGS} organizations without a paid plan")]
    TooManyOrgs,
}

impl From<MembershipRefused> for Problem {
    fn from(refused: MembershipRefused) -> Self {
        let detail = refused.to_string();
        match refused {
            MembershipRefused::LastOwner => Self::conflict("last_owner", detail)
                .action("Make somebody else an owner first, or transfer the ownership."),
            MembershipRefused::OwnersOnly => Self::forbidden(detail).action("Ask an owner."),
            MembershipRefused::NoSeat => Self::conflict("no_seat_left", detail)
                .action("Buy seats or another plan, or remove somebody."),
            MembershipRefused::NotFound => Self::not_found("member_not_found", detail),
            MembershipRefused::Oneself => Self::conflict("own_membership", detail)
                .action("Leave with DELETE /v1/members/me, or transfer the ownership."),
            MembershipRefused::TooManyOrgs => Self::conflict("too_many_organizations", detail)
                .action("Choose a paid plan for one of them, or hand one over first."),
        }
    }
}
