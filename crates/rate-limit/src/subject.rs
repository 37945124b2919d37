use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use kernel::{ApiKey, Id, Org, User};
use web::{ClientIp, Operator};

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A person in an org, with all the API keys they made: more keys are not more requests.
    Person { org: Id<Org>, user: Id<User> },
    /// Everybody in an org.
    Org(Id<Org>),
    /// A key that its org gave a limit.
    Key { org: Id<Org>, id: Id<ApiKey> },
    /// One of the people who run the product.
    Operator(Id<Operator>),
    /// A subscriber's network.
    Network(IpAddr),
}

impl Subject {
    /// Where a request comes from. Those of unknown origin share one limit.
    pub(crate) fn network(ip: Option<ClientIp>) -> Self {
        Self::Network(ip.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), ClientIp::subscriber))
    }
}

/// As a part of a Redis key. What stands in braces decides the node of a cluster: all that one
/// request counts against must be on the same.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { org, user } => write!(f, "{{{org}}}:user:{user}"),
            Self::Org(org) => write!(f, "{{{org}}}"),
            Self::Key { org, id } => write!(f, "{{{org}}}:key:{id}"),
            Self::Operator(id) => write!(f, "{{{id}}}:operator"),
            Self::Network(ip) => write!(f, "{{{ip}}}"),
        }
    }
}
