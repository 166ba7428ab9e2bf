//! The `backlot` program: everything is in the library.

fn main() -> std::process::ExitCode {
    backlot::cli::main()
}
