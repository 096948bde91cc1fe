//! The self-test inside the jail: each mechanism is tried before the command runs, and each must refuse or grant as it should.
//!
//! The wall is tried before the filter stands, so that nothing but Landlock can be the one to refuse; the door afterwards, by a child whose calls
//! the line answers from a fixed script ([`expected`]) instead of policy.

use crate::sys::{self, process};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// The one file the rehearsal may open: reading it shows that a descriptor is injected.
pub const OPENED: &str = "/dev/null";
const PORT_DISCARD: u16 = 9;

/// What the self-test needs to know of what it stands among.
pub struct Rehearsal {
    /// Whether another's filter stands before this one.
    pub filtered: bool,
    /// The supervisor, which may not be signalled.
    pub supervisor: i32,
    /// The session's directory, in which nothing may be made.
    pub runtime: PathBuf,
}

/// Tests of the wall, each a line `wall NAME ok` or `wall NAME ERRNO`.
pub fn wall(rehearsal: &Rehearsal) -> Vec<String> {
    let refused = [libc::EACCES, libc::EPERM];
    vec![
        line("wall", "write", &fs::OpenOptions::new().write(true).open(OPENED).map(drop), &[libc::EACCES]),
        line("wall", "list", &fs::read_dir("/").map(drop), &[libc::EACCES]),
        line("wall", "make", &fs::create_dir(rehearsal.runtime.join("rehearsal")), &refused),
        line("wall", "connect", &connect(), &refused),
        line("wall", "signal", &process::kill(rehearsal.supervisor, 0), &[libc::EPERM]),
    ]
}

/// Tests of filter and door, each a line `door NAME ok` or `door NAME ERRNO`.
pub fn door(rehearsal: &Rehearsal) -> Vec<String> {
    let refused = [libc::EACCES, libc::EPERM];
    let injected = fs::read(OPENED).and_then(|bytes| if bytes.is_empty() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) });
    let call = |number: i64, arguments: [u64; 6]| match process::probe(number, arguments) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    };
    // What another's filter refuses outright does not come to ours: refused is refused, whatever the errno.
    let refusing = |errno: i32| if rehearsal.filtered { vec![errno, libc::EPERM, libc::EACCES, libc::ENOSYS] } else { vec![errno] };
    let packet = [libc::AF_PACKET as u64, libc::SOCK_RAW as u64, 0, 0, 0, 0];
    let user_namespace = [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0];
    vec![
        format!("door inject {}\n", injected.map_or_else(|error| sys::errno(&error).to_string(), |()| "ok".to_owned())),
        line("door", "read", &fs::File::open("/proc/self/status").map(drop), &refused),
        line("door", "make", &fs::create_dir(rehearsal.runtime.join("rehearsal")), &refused),
        line("door", "connect", &connect(), &refused),
        line("door", "signal", &process::kill(rehearsal.supervisor, 0), &refused),
        line("filter", "io_uring", &call(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0, 0]), &refusing(libc::ENOSYS)),
        line("filter", "packet", &call(libc::SYS_socket, packet), &refusing(libc::EAFNOSUPPORT)),
        line("filter", "namespace", &call(libc::SYS_unshare, user_namespace), &refusing(libc::EPERM)),
        line("filter", "ptrace", &call(libc::SYS_ptrace, [0; 6]), &refused),
        line("filter", "unknown", &call(9_999, [0; 6]), &refusing(libc::ENOSYS)),
    ]
}

fn connect() -> io::Result<()> {
    let discard = SocketAddr::from(([127, 0, 0, 1], PORT_DISCARD));
    TcpStream::connect_timeout(&discard, Duration::from_secs(1)).map(drop)
}

fn line(part: &str, name: &str, result: &io::Result<()>, expected: &[i32]) -> String {
    match result {
        Err(error) if expected.contains(&sys::errno(error)) => format!("{part} {name} ok\n"),
        Err(error) => format!("{part} {name} {}\n", sys::errno(error)),
        Ok(()) => format!("{part} {name} 0\n"),
    }
}
