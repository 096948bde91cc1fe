//! `interlock-supervisor`: see `spec/supervisor.md`.

use interlock_linux::supervise;
use interlock_linux::sys::descriptors;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

const USAGE: &str = "usage: interlock-supervisor --control-fd N | --doctor | --syscalls | --version";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--control-fd", number] => number
            .parse()
            .ok()
            .and_then(|number| descriptors::adopt(number).ok())
            .map_or_else(usage, |control| ExitCode::from(supervise::run(UnixStream::from(control)))),
        ["--version"] => print(&format!("interlock-supervisor {}", env!("CARGO_PKG_VERSION"))),
        ["--doctor"] => print(&interlock_linux::doctor::examine().to_string()),
        ["--syscalls"] => print(&interlock_linux::listing::json()),
        _ => usage(),
    }
}

fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(120)
}
