use std::net::IpAddr;

use axum::{extract::FromRequestParts, http::request::Parts};
use kernel::{ApiKey, Id, User};
use uuid::Uuid;
use web::{Caller, ClientIp, Credential, Identity, Operator, Problem, RequestId};

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in person.
    User(Id<User>),
    /// A program, with a key that a person made.
    ApiKey {
        /// Which key.
        id: Id<ApiKey>,
        /// Whose.
        user: Id<User>,
    },
    /// One of the people who run the product.
    Operator(Id<Operator>),
    /// One of them, standing in for a customer.
    Impersonator {
        /// Who it is in truth.
        operator: Id<Operator>,
        /// For whom.
        user: Id<User>,
    },
    /// The product: a job, a webhook, a command.
    System,
}

/// Where a change comes from: what of a request belongs in the log.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who does it.
    pub actor: Actor,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// In which request.
    pub request_id: Option<String>,
}

impl Origin {
    /// The product itself.
    pub const SYSTEM: Self = Self { actor: Actor::System, ip: None, request_id: None };
}

impl Actor {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::ApiKey { .. } => "api_key",
            Self::Operator(_) | Self::Impersonator { .. } => "operator",
            Self::System => "system",
        }
    }

    pub(crate) fn id(self) -> Option<Uuid> {
        match self {
            Self::User(id) => Some(id.uuid()),
            Self::ApiKey { id, .. } => Some(id.uuid()),
            Self::Operator(id) | Self::Impersonator { operator: id, .. } => Some(id.uuid()),
            Self::System => None,
        }
    }

    pub(crate) fn on_behalf_of(self) -> Option<Uuid> {
        match self {
            Self::ApiKey { user, .. } | Self::Impersonator { user, .. } => Some(user.uuid()),
            _ => None,
        }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        match caller.credential {
            Credential::Session(_) => Self::User(caller.user),
            Credential::Key { id, .. } => Self::ApiKey { id, user: caller.user },
            Credential::Impersonation { operator, .. } => {
                Self::Impersonator { operator, user: caller.user }
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Problem;

    /// Only requests of somebody known have one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let actor = match parts.extensions.get::<Identity>() {
            Some(Identity::Known(caller)) => Actor::from(caller),
            Some(Identity::Operator(operator)) => Actor::Operator(operator.id),
            Some(Identity::Refused(problem)) => return Err(problem.clone()),
            Some(Identity::Anonymous) | None => return Err(Problem::unauthenticated()),
        };
        let ip = parts.extensions.get::<ClientIp>().map(|ip| ip.0);
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
        Ok(Self { actor, ip, request_id })
    }
}
