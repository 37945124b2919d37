use axum::response::{IntoResponse, Response};
use web::Json;

use super::{Group, Report};
use crate::{Format, csv_file};

const COLUMNS: [&str; 19] = [
    "start",
    "model",
    "provider",
    "operation",
    "user",
    "key",
    "project",
    "calls",
    "succeeded",
    "partial",
    "unknown",
    "cached",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "images",
    "cost_usd",
    "credits",
];

impl Report {
    /// The answer to whoever asked for it as `format`.
    pub fn respond(self, format: Format) -> web::Result<Response> {
        match format {
            Format::Json => Ok(Json(self).into_response()),
            Format::Csv => self.csv(),
        }
    }

    /// Its groups as a file: what was not asked for is empty.
    fn csv(&self) -> web::Result<Response> {
        csv_file("usage.csv", COLUMNS, self.groups.iter().map(cells))
    }
}

fn cells(group: &Group) -> [String; COLUMNS.len()] {
    fn text<T: ToString>(value: Option<&T>) -> String {
        value.map(ToString::to_string).unwrap_or_default()
    }
    let (key, totals) = (&group.key, &group.totals);
    [
        group.start.map(|start| start.to_rfc3339()).unwrap_or_default(),
        text(key.model.as_ref()),
        text(key.provider.as_ref()),
        text(key.operation.as_ref()),
        text(key.user.as_ref()),
        text(key.key.as_ref()),
        text(key.project.as_ref()),
        totals.calls.to_string(),
        totals.succeeded.to_string(),
        totals.partial.to_string(),
        totals.unknown.to_string(),
        totals.cached.to_string(),
        totals.input_tokens.to_string(),
        totals.cached_input_tokens.to_string(),
        totals.cache_write_tokens.to_string(),
        totals.output_tokens.to_string(),
        totals.images.to_string(),
        totals.cost_nano_usd.to_string().replace('$', ""),
        totals.credits.to_string(),
    ]
}
