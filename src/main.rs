//! The `shadowscope` program.

fn main() -> std::process::ExitCode {
    shadowscope::cli::main()
}
