use app::Event;
use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Export;

/// What customers' programs are told of copies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportReady {
    /// Which: whoever asked for it downloads it with `GET /v1/exports/{id}/archive`.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) export_id: Id<Export>,
    /// How large the archive is.
    pub(crate) bytes: i64,
    /// Until when it can be downloaded.
    pub(crate) expires_at: DateTime<Utc>,
}

impl Event for ExportReady {
    const TYPE: &'static str = "export.ready";
    const DESCRIPTION: &'static str =
        "A copy of the organization's data, which somebody asked for, can be downloaded.";

    fn example() -> Self {
        let expires_at = DateTime::from_timestamp(1_796_472_000, 0).unwrap_or_default();
        let export_id = Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into();
        Self { export_id, bytes: 48_213, expires_at }
    }
}
