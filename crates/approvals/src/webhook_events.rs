use app::Event;
use kernel::{EmailAddress, Id};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Approval, Status};

/// What customers' programs are told of decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalDecided {
    /// What was decided.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) approval_id: Id<Approval>,
    /// Its title.
    pub(crate) title: String,
    /// Who decided.
    #[schema(value_type = String, format = Email)]
    pub(crate) email: EmailAddress,
    /// How: `approved` or `rejected`.
    #[schema(value_type = String)]
    pub(crate) status: Status,
    /// What else they had to say.
    pub(crate) comment: Option<String>,
}

impl Event for ApprovalDecided {
    const TYPE: &'static str = "approval.decided";
    const DESCRIPTION: &'static str = "Somebody outside approved or rejected what they were asked.";

    fn example() -> Self {
        Self {
            approval_id: Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into(),
            title: "Poster, second draft".to_owned(),
            email: "client@example.com".parse().expect("an address"),
            status: Status::Approved,
            comment: Some("Print it!".to_owned()),
        }
    }
}

impl From<&Approval> for ApprovalDecided {
    fn from(approval: &Approval) -> Self {
        Self {
            approval_id: approval.id,
            title: approval.title.clone(),
            email: approval.email.clone(),
            status: approval.status,
            comment: approval.comment.clone(),
        }
    }
}
