use std::net::{IpAddr, Ipv4Addr};

use axum::http::Extensions;
use kernel::{Id, Org};
use uuid::Uuid;
use web::{Access, Caller, ClientIp, Identity, Tier};

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A person or an API key, in an org.
    Caller { org: Id<Org>, who: Uuid },
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
            Some(Identity::Known(caller)) if access.permission.is_some() => {
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
        let who = caller.api_key().map_or(caller.user.uuid(), Id::uuid);
        Self::Caller { org: caller.org, who }
    }
}
