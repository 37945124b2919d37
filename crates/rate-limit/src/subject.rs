use std::net::{IpAddr, Ipv4Addr};

use axum::http::Extensions;
use kernel::{Id, Org, User};
use web::{Access, Caller, ClientIp, Identity, Tier};

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A person in an org, with all the API keys they made: more keys are not more requests.
    Caller { org: Id<Org>, user: Id<User> },
    /// A subscriber's network.
    Network(IpAddr),
}

impl Subject {
    /// Whom a request for an operation with `access` counts against, and at which tier.
    ///
    /// Credentials count only where they are needed: at the sign-in they would give everybody with
    /// many accounts as many times the attempts.
    pub(crate) fn of(access: Access, request: &Extensions) -> (Self, Tier) {
        match request.get() {
            Some(Identity::Known(caller)) if access.permission().is_some() => {
                (Self::from(caller), caller.tier)
            }
            _ => {
                let ip = request.get::<ClientIp>();
                let ip = ip.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ip| ip.subscriber());
                (Self::Network(ip), Tier::Free)
            }
        }
    }
}

impl From<&Caller> for Subject {
    fn from(caller: &Caller) -> Self {
        Self::Caller { org: caller.org, user: caller.user }
    }
}
