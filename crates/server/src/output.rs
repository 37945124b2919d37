//! What people read on their terminal. Unlike `println!` it survives a closed pipe or a full disk.

use std::io::{self, Write};

/// Writes to the standard output.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes text that ends its own lines to the standard output.
pub(crate) fn text(text: &str) {
    let _ = write!(io::stdout(), "{text}");
}

/// Writes to the standard error.
pub(crate) fn error(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
