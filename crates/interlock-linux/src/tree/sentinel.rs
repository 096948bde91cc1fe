//! The sentinels: two processes in the wall's outer domain, each able to end the whole tree at one stroke.
//!
//! kill(-1) reaches every process the caller may signal, and the domain's scope narrows that to the tree. The kernel does it under the lock that a
//! fork needs, and a fork with a fatal signal pending fails: nothing slips through, however fast it forks, whatever session or group it is in.
//! The tree's own domain lies inside, so the tree can neither signal nor read a sentinel. There are two because nobody outside the domain can
//! strike like this: when one is lost, the other ends the tree at once, while it can.
//!
//! Each stands in a session of its own, and under a name of its own, so that what is killed by group, by terminal or by name is not all of
//! Interlock's processes at once. Left out: whoever kills both in the same instant; then guardian and supervisor sweep (`sweep`).
//!
//! INVARIANT: kill(-1) is called only by a process that was refused the guardian: proof that the domain holds.

use crate::sys::descriptors::{self, wait_readable};
use crate::sys::process::{self, Forked};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Starts the other sentinel; then both wait until either end is hung up (supervisor or guardian are gone, or say so) or the other is gone, and
/// end the tree. `ready` is told who they are once both are there.
pub fn run(guardian: i32, necks: &[OwnedFd; 2], ready: &OwnedFd) -> ! {
    let first = process::id();
    let both = stands_apart(guardian).and_then(|()| Ok((process::descriptor(first)?, process::fork_sibling()?)));
    match both {
        Ok((itself, Forked::Child)) => match stands_apart(guardian) {
            Ok(()) => watch(necks, &itself),
            Err(_) => process::leave(1), // The first sees it, and strikes.
        },
        Ok((_, Forked::Parent(twin))) => match process::descriptor(twin) {
            Ok(other) if said(ready, &format!("sentinels {first} {twin}\n")) => watch(necks, &other),
            _ => process::leave(1), // So does the second.
        },
        Err(error) => {
            said(ready, &format!("failed sentinels {}\n", crate::sys::errno(&error)));
            process::leave(1)
        }
    }
}

fn said(ready: &OwnedFd, line: &str) -> bool {
    descriptors::write_all(ready.as_fd(), line.as_bytes()).is_ok()
}

/// Leaves the command's session: what its group or terminal is sent (^C, `kill 0`) is not for a sentinel. An error unless the domain holds.
///
/// The guardian is of the same user and no member of the domain: only the scope can refuse it.
fn stands_apart(guardian: i32) -> io::Result<()> {
    process::new_session();
    process::call_itself(c"jail-sentinel");
    process::keep_from_oom();
    let _stays = std::env::set_current_dir("/");
    match process::kill(guardian, 0) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(io::Error::other("the domain does not hold")),
    }
}

/// The twin is struck as well: it is in the domain, and no longer needed.
fn watch(necks: &[OwnedFd; 2], other: &OwnedFd) -> ! {
    let [supervisor, guardian] = necks;
    let watched = [supervisor, guardian, other];
    descriptors::close_all_but(&watched.map(AsRawFd::as_raw_fd));
    while wait_readable(&watched.map(AsFd::as_fd), -1).is_empty() {}
    let _none = process::kill(-1, libc::SIGKILL);
    process::leave(0)
}
