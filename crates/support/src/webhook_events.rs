use app::Event;
use kernel::Id;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::tickets::Ticket;

/// What customers' programs are told of answers. What they say is at the ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TicketAnswered {
    /// Which ticket.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) ticket_id: Id<Ticket>,
}

impl Event for TicketAnswered {
    const TYPE: &'static str = "ticket.answered";
    const DESCRIPTION: &'static str = "Somebody who runs the product answered a ticket.";

    fn example() -> Self {
        Self { ticket_id: Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into() }
    }
}
