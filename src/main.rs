use std::process::ExitCode;

fn main() -> ExitCode {
    tidehelm::cli::main()
}
