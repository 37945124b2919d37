//! What customers' programs are told of their people and keys.

use app::{Event, EventType};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use web::Role;

pub(crate) fn types() -> Vec<EventType> {
    vec![
        EventType::of::<MemberJoined>(),
        EventType::of::<MemberRemoved>(),
        EventType::of::<ApiKeyCreated>(),
        EventType::of::<ApiKeyRevoked>(),
    ]
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberJoined {
    /// Who joined.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) user_id: Id<User>,
    /// What they are in the organization.
    #[schema(value_type = String)]
    pub(crate) role: Role,
}

impl Event for MemberJoined {
    const TYPE: &'static str = "member.joined";
    const DESCRIPTION: &'static str = "Somebody accepted an invitation to the organization.";

    fn example() -> Self {
        Self { user_id: example_id(), role: Role::Member }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberRemoved {
    /// Who is no longer a member.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) user_id: Id<User>,
    /// What they were in the organization.
    #[schema(value_type = String)]
    pub(crate) role: Role,
    /// Whether they left by themselves.
    pub(crate) left: bool,
}

impl Event for MemberRemoved {
    const TYPE: &'static str = "member.removed";
    const DESCRIPTION: &'static str = "Somebody left the organization, or was taken out of it.";

    fn example() -> Self {
        Self { user_id: example_id(), role: Role::Member, left: false }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyCreated {
    /// The key's id; nothing of its secret is told.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) api_key_id: Id<kernel::ApiKey>,
    /// What its maker calls it.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) scopes: Vec<String>,
    /// When it stops working; null: never by itself.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// Who made it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) user_id: Id<User>,
}

impl Event for ApiKeyCreated {
    const TYPE: &'static str = "api_key.created";
    const DESCRIPTION: &'static str = "An API key was made.";

    fn example() -> Self {
        Self {
            api_key_id: example_id(),
            name: "Production server".into(),
            scopes: vec!["projects:read".into()],
            expires_at: None,
            user_id: example_id(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyRevoked {
    /// The key's id.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) api_key_id: Id<kernel::ApiKey>,
}

impl Event for ApiKeyRevoked {
    const TYPE: &'static str = "api_key.revoked";
    const DESCRIPTION: &'static str = "An API key was ended before its time.";

    fn example() -> Self {
        Self { api_key_id: example_id() }
    }
}

fn example_id<T>() -> Id<T> {
    Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into()
}
