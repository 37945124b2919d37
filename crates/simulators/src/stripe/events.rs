use serde_json::Value;

use super::{action::Action, error::Error, form::Params, list, shape::text};

/// Lists events, of the wanted types if any are named.
pub(super) fn list(action: &Action, mut params: Params) -> Result<Value, Error> {
    let mut types = params.texts("types")?;
    types.extend(params.text("type")?);
    let wanted =
        |event: &&Value| types.is_empty() || types.iter().any(|kind| kind == text(event, "type"));
    let events = action.state.all("event").rev().filter(wanted).cloned().collect();
    list::page(events, "/v1/events", params)
}
