//! The `switchyard` command.

use std::process::ExitCode;

/// A call allocates some eighty times, on one thread and mostly for a moment: ARCHITECTURE.md says what it saves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    switchyard::cli::main()
}
