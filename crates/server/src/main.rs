//! `slipway`: see `--help`, which is the manual.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any thread starts, since it changes the environment.
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => server::cli::refuse_dotenv(&error),
        _ => server::cli::run(),
    }
}
