//! The `rollproof` command.

use std::process::ExitCode;

/// A simulation copies many small objects: a third of its time goes to the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rollproof::cli::main()
}
