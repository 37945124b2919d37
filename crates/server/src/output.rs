use std::io::{self, Write};

/// What people read on their terminal. Unlike `println!` it survives a closed pipe or a full disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output;

impl Output {
    /// Writes to the standard output.
    pub fn line(self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Writes to the standard error.
    pub fn error(self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }
}
