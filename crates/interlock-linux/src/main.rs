//! `interlock-supervisor`: see `spec/supervisor.md`.

use interlock_linux::sys::descriptors;
use interlock_linux::{later, supervise};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

const USAGE: &str = "usage: interlock-supervisor --control-fd N | --doctor | --host-names | --syscalls | --changes | --version";

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
        ["--host-names"] => print(&interlock_linux::doctor::host_names().to_string()),
        ["--syscalls"] => print(&interlock_linux::filter::listing::json()),
        ["--changes"] => match later::replay(std::io::stdin().lock()) {
            Ok(found) => print(&found.to_string()),
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(120)
            }
        },
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
