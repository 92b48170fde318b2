//! The `blindlink` command: parse, dispatch, exit code.

fn main() -> std::process::ExitCode {
    blindlink::cli::main()
}
