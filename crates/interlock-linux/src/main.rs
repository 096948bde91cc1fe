//! `interlock-supervisor`: see `spec/supervisor.md`.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(123)
}
