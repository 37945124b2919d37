use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What has become of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = EmailStatus)]
pub enum Status {
    /// Waits to be handed over.
    Queued,
    /// The provider has it.
    Sent,
    /// The reader's server has it.
    Delivered,
    /// The reader's server refused it.
    Bounced,
    /// Its reader called it spam.
    Complained,
    /// Not sent: the address, the person or a cap is against it.
    Suppressed,
    /// Given up: refused by the provider, or tried too often.
    Dead,
}

impl Status {
    /// From which states the provider's word leads here. Messages come in any order: a late one never
    /// undoes what came after it, and what was given up may have arrived all the same.
    pub(crate) fn follows(self) -> &'static [&'static str] {
        match self {
            Self::Queued => &[],
            Self::Sent => &["queued"],
            Self::Delivered => &["queued", "sent", "dead"],
            Self::Bounced => &["queued", "sent", "delivered", "dead"],
            Self::Complained => &["queued", "sent", "delivered", "bounced", "dead"],
            Self::Suppressed | Self::Dead => &["queued", "sent"],
        }
    }
}
