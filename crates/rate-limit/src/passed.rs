use axum::http::Extensions;
use web::{Access, Audience, Identity, Operator};

use crate::{Policy, Quota, charge::Charge, policy, subject::Subject};

/// An operator's request that a limit would have refused, let through: it is carried by the request, once
/// a minute for each operator, to be written down.
#[derive(Clone, Copy, Debug)]
pub struct PassedLimit {
    /// Who was let through.
    pub operator: Operator,
    /// Which limit would have refused.
    pub policy: &'static str,
}

/// The operator who sends a request to where only operators may do something.
pub(crate) fn operator(access: Access, request: &Extensions) -> Option<Operator> {
    match request.get() {
        Some(Identity::Operator(operator)) if access.audience == Audience::Operators => {
            Some(*operator)
        }
        _ => None,
    }
}

impl Charge {
    /// What the request of an operator would count against.
    pub(crate) fn of_operator(policy: &Policy, operator: Operator) -> Self {
        let quota = policy.quota(web::Tier::Free);
        Self { policy: policy.name, quota, subject: Subject::Operator(operator.id) }
    }

    /// Letting through is told once a minute.
    pub(crate) fn of_passing(operator: Operator) -> Self {
        let (policy, quota) = (policy::PASSED, Quota::per_minute(1));
        Self { policy, quota, subject: Subject::Operator(operator.id) }
    }
}
