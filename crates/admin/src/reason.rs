use serde::Deserialize;
use utoipa::ToSchema;
use web::Problem;

/// Why something is done to somebody. Kept in the audit log.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    #[schema(min_length = 1, max_length = 500, example = "Chargebacks on four cards")]
    reason: String,
}

impl Reason {
    /// The text, which there must be.
    pub(crate) fn text(&self) -> web::Result<&str> {
        let reason = self.reason.trim();
        if (1..=500).contains(&reason.chars().count()) {
            return Ok(reason);
        }
        Err(Problem::invalid_field("/reason", "must be 1 to 500 characters"))
    }
}
