use web::{Access, Audience, Caller, Credential, Identity, Tier};

use axum::http::Extensions;

use crate::{Policy, Quota, passed, policy, subject::Subject};

/// One request, to be counted against one subject under one policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) policy: &'static str,
    pub(crate) quota: Quota,
    pub(crate) subject: Subject,
}

impl Charge {
    /// What a request for an operation with `access` counts against, narrowest first.
    ///
    /// Credentials count only where they are needed: at the sign-in they would give everybody with
    /// many accounts as many times the attempts. Operators count where only they may do something, to
    /// be told when they pass a limit.
    pub(crate) fn all(access: Access, request: &Extensions) -> Vec<Self> {
        let Some(policy) = policy::of(access.class) else { return vec![] };
        if let Some(operator) = passed::operator(access, request) {
            return vec![Self::of_operator(policy, operator)];
        }
        match request.get() {
            Some(Identity::Known(caller)) if access.audience != Audience::Anyone => {
                Self::of_caller(policy, caller)
            }
            _ => {
                let subject = Subject::network(request.get().copied());
                vec![Self { policy: policy.name, quota: policy.quota(Tier::Free), subject }]
            }
        }
    }

    fn of_caller(policy: &'static Policy, caller: &Caller) -> Vec<Self> {
        let Caller { org, user, tier, .. } = *caller;
        let mut charges = Vec::with_capacity(3);
        if let Credential::Key { id, per_minute: Some(count), .. } = caller.credential {
            let quota = Quota::per_minute(count.get());
            charges.push(Self {
                policy: policy::API_KEY,
                quota,
                subject: Subject::Key { org, id },
            });
        }
        charges.push(Self {
            policy: policy.name,
            quota: policy.quota(tier),
            subject: Subject::Person { org, user },
        });
        charges.push(Self {
            policy: policy.org_name,
            quota: policy.org_quota(tier),
            subject: Subject::Org(org),
        });
        charges
    }
}
