use std::{num::NonZeroU32, str::FromStr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use kernel::{ApiKey, Id, Org, User};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Access, Permission, Problem, Result, WantsPage};

/// Who makes the request, as established by `auth` and by nothing else.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The person, or the person who made the API key.
    pub user: Id<User>,
    /// The org they act in.
    pub org: Id<Org>,
    /// Their role in it.
    pub role: Role,
    /// The org's plan tier.
    pub tier: Tier,
    /// How they proved who they are.
    pub credential: Credential,
}

/// One of the people who run the product, signed in with a second factor. Never a customer.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// Identifies them.
    pub id: Id<Operator>,
    /// The session whose token was sent.
    pub session: Uuid,
}

/// Whether the person or operator behind a session has proved who they are within the last minutes. Kept in the
/// request's extensions; absent for everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentSignIn(pub bool);

/// How a caller proved who they are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token of this session.
    Session(Uuid),
    /// One of the people who run the product, standing in for a customer to see what they see.
    Impersonation {
        /// What ends it.
        session: Uuid,
        /// Who it is in truth.
        operator: Id<Operator>,
    },
    /// An API key.
    Key {
        /// Which one.
        id: Id<ApiKey>,
        /// What it may do.
        scopes: Scopes,
        /// How many requests a minute its org allows it, if it says so.
        per_minute: Option<NonZeroU32>,
    },
}

/// What an API key may do: names of permissions, `*:read` for all that only look, or `*` for all that
/// keys may have.
#[derive(Clone, Debug)]
pub struct Scopes(pub Arc<[String]>);

impl Scopes {
    /// Whether `permission` is among them.
    pub fn contain(&self, permission: &Permission) -> bool {
        self.0.iter().any(|scope| match scope.as_str() {
            "*" => true,
            "*:read" => permission.reads(),
            name => name == permission.name,
        })
    }
}

/// What a person is in an org.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Answers for the org; there is always one.
    Owner,
    /// Runs it.
    Admin,
    /// Works in it.
    Member,
    /// Pays for it.
    Billing,
    /// Looks.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Owner, Self::Admin, Self::Member, Self::Billing, Self::Viewer];
}

/// The tier of a plan, which scales rate limits.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    sqlx::Type,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Tier {
    /// Not paying.
    #[default]
    Free,
    /// The first paid tier.
    Creator,
    /// Small teams.
    Pro,
    /// Large teams.
    Agency,
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "free" => Ok(Self::Free),
            "creator" => Ok(Self::Creator),
            "pro" => Ok(Self::Pro),
            "agency" => Ok(Self::Agency),
            _ => Err(format!("{text:?} is not a tier")),
        }
    }
}

impl Caller {
    /// Refuses callers whom `access` does not admit: by their role, their API key's scopes, or
    /// because they stand in for somebody.
    pub fn require(&self, access: &Access) -> Result<()> {
        let Some(permission) = access.permission() else { return Ok(()) };
        if !permission.roles.contains(&self.role) {
            return Err(Problem::forbidden("your role does not allow this")
                .action("Ask an owner or admin of your organization."));
        }
        match &self.credential {
            Credential::Session(_) => Ok(()),
            Credential::Impersonation { .. } if access.is_for_stand_ins() => Ok(()),
            Credential::Impersonation { .. } => {
                Err(Problem::forbidden("who stands in for somebody cannot do this")
                    .action("Let the customer do it themselves."))
            }
            Credential::Key { .. } if !permission.keys => {
                Err(Problem::forbidden("API keys cannot do this")
                    .action("Sign in as a person and try again."))
            }
            Credential::Key { scopes, .. } if scopes.contain(permission) => Ok(()),
            Credential::Key { .. } => {
                Err(Problem::forbidden(format!("this API key lacks the scope {}", permission.name))
                    .action("Create a key with that scope."))
            }
        }
    }

    /// Which of the people who run the product it is in truth, if it is one of them.
    pub fn impersonator(&self) -> Option<Id<Operator>> {
        match self.credential {
            Credential::Impersonation { operator, .. } => Some(operator),
            Credential::Session(_) | Credential::Key { .. } => None,
        }
    }

    /// The API key used, if it was one.
    pub fn api_key(&self) -> Option<Id<ApiKey>> {
        match self.credential {
            Credential::Session(_) | Credential::Impersonation { .. } => None,
            Credential::Key { id, .. } => Some(id),
        }
    }
}

/// What the authentication layer found, kept in the request's extensions.
///
/// A failed sign-in is carried on rather than answered at once, so that it counts against the
/// limits of the address it came from.
#[derive(Clone, Debug)]
pub enum Identity {
    /// No credentials were sent.
    Anonymous,
    /// They were, and hold.
    Known(Caller),
    /// They are those of one of the people who run the product.
    Operator(Operator),
    /// They were, and do not hold, or could not be checked.
    Refused(Problem),
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.extensions.get::<Identity>() {
            Some(Identity::Known(caller)) => Ok(caller.clone()),
            Some(Identity::Operator(_)) => Err(Problem::forbidden("this is for customers")
                .action("Use the token of a customer's session, or an API key.")),
            Some(Identity::Refused(problem)) => Err(problem.clone()),
            Some(Identity::Anonymous) | None => Err(Problem::unauthenticated()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Ok(WantsPage(wants_page)) = WantsPage::from_request_parts(parts, state).await;
        match parts.extensions.get::<Identity>() {
            Some(Identity::Operator(operator)) => Ok(*operator),
            Some(
                Identity::Refused(Problem { status: StatusCode::UNAUTHORIZED, .. })
                | Identity::Anonymous,
            )
            | None
                if wants_page =>
            {
                Err(Problem::token_of_operator())
            }
            Some(Identity::Known(_)) => Err(Problem::forbidden("this is for operators")
                .action("Sign in as an operator; a customer's account cannot become one.")),
            Some(Identity::Refused(problem)) => Err(problem.clone()),
            Some(Identity::Anonymous) | None => Err(Problem::unauthenticated()),
        }
    }
}
