//! What customers' programs are told of their files.

use app::Event;
use kernel::Id;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Asset;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssetCreated {
    /// The file.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) asset_id: Id<Asset>,
    /// What it is called.
    pub(crate) name: String,
    /// What it is.
    pub(crate) content_type: String,
    /// How long it is.
    pub(crate) bytes: i64,
}

impl Event for AssetCreated {
    const TYPE: &'static str = "asset.created";
    const DESCRIPTION: &'static str = "An upload was completed: there is a new file.";

    fn example() -> Self {
        let (name, content_type) = ("poster.png".to_owned(), "image/png".to_owned());
        Self { asset_id: example_id(), name, content_type, bytes: 48_213 }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssetDeleted {
    /// The file.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) asset_id: Id<Asset>,
}

impl Event for AssetDeleted {
    const TYPE: &'static str = "asset.deleted";
    const DESCRIPTION: &'static str = "Somebody deleted a file.";

    fn example() -> Self {
        Self { asset_id: example_id() }
    }
}

fn example_id() -> Id<Asset> {
    Uuid::from_u128(0x0198_c3f0_5a4e_7cc2_8a51_2b8f_3a6e_9d01).into()
}
