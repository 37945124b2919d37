//! `slipway`: see `--help`, which is the manual.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before any thread starts, since it changes the environment.
    dotenvy::dotenv().ok();
    server::cli::run()
}
