//! Nobody reaches what is not theirs: by operation and caller, by object, and by row.

mod audited;
mod cast;
mod matrix;
pub(crate) mod objects;
mod rows;

use server::{Settings, commands::openapi};
use web::Operation;

/// Every operation that the product has, from the document that describes them.
pub(crate) fn operations() -> Vec<Operation> {
    let cli = server::cli::read(vec!["slipway".into()], &|_| None).expect("valid defaults");
    let files = tempfile::tempdir().unwrap();
    let mut settings: Settings = cli.settings;
    files.path().clone_into(&mut settings.storage.storage_dir);
    openapi::describe(settings).unwrap().1
}

/// The address of an operation with `id` wherever it has a parameter.
fn fill_in(path: &str, id: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
    parts.collect::<Vec<_>>().join("/")
}
