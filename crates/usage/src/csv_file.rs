use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web::Problem;

/// How a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportFormat)]
pub enum Format {
    /// Whole.
    #[default]
    Json,
    /// The lines alone, for a spreadsheet.
    Csv,
}

/// Lines under a heading, to be kept as `name`.
pub fn csv_file<const COLUMNS: usize>(
    name: &str,
    columns: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> web::Result<Response> {
    let text = write(Some(columns), rows).map_err(Problem::internal)?;
    let keep = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, keep.map_err(Problem::internal)?),
    ];
    Ok((headers, text).into_response())
}

/// Lines as text, under a heading if there is one.
pub(crate) fn write<const COLUMNS: usize>(
    heading: Option<[&str; COLUMNS]>,
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> anyhow::Result<Vec<u8>> {
    let mut csv =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if let Some(columns) = heading {
        csv.write_record(columns)?;
    }
    for row in rows {
        csv.write_record(row.map(harmless))?;
    }
    Ok(csv.into_inner()?)
}

/// A spreadsheet takes a cell that begins so for a formula, even in quotes. Numbers are none.
fn harmless(cell: String) -> String {
    let begins = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let number = cell.strip_prefix('-').is_some_and(|digits| {
        digits.parse::<f64>().is_ok() && digits.bytes().all(|it| b"0123456789.".contains(&it))
    });
    if begins && !number { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_a_spreadsheet_would_run_is_quoted_and_a_loss_is_a_number() {
        for cell in ["=1", "+1", "@a", "-a", "-1+2", "\t1", "＝1"] {
            assert_eq!(harmless(cell.into()), format!("'{cell}"));
        }
        for cell in ["-12.5", "12", "", "gpt-4o", "a=b"] {
            assert_eq!(harmless(cell.into()), cell);
        }
    }
}
