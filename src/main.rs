//! The `rollproof` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    rollproof::cli::main()
}
