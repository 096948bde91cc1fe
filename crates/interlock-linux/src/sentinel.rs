//! The sentinel: a process in the wall's outer domain that ends the whole tree at one stroke.
//!
//! kill(-1) reaches every process the caller may signal, and the domain's scope narrows that to the tree. The kernel does it under the lock that a
//! fork needs, and a fork with a fatal signal pending fails: nothing slips through, however fast it forks, whatever session or group it is in.
//! The tree's own domain lies inside, so the tree can neither signal nor read the sentinel.
//!
//! INVARIANT: kill(-1) is called only after this process was refused the guardian: proof that the domain holds.

use crate::sys::descriptors::{self, wait_readable};
use crate::sys::process;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Waits until either end is hung up (supervisor or guardian are gone, or say so), then ends the tree. `ready` is told once it watches.
pub fn run(guardian: i32, necks: [OwnedFd; 2], ready: &OwnedFd) -> ! {
    process::new_session(); // forked in the command's group: a signal to that group (^C, `kill 0`) must not end the sentinel
    // Out of the command's group and terminal: what they are sent is not for this process.
    process::new_session();
    let _stays = std::env::set_current_dir("/");
    if !scoped(guardian) {
        process::leave(1);
    }
    let told = descriptors::write_all(ready.as_fd(), format!("sentinel {}\n", process::id()).as_bytes());
    descriptors::close_all_but(&necks.each_ref().map(AsRawFd::as_raw_fd));
    let [supervisor, guardian_neck] = &necks;
    if told.is_ok() {
        while wait_readable(&[supervisor.as_fd(), guardian_neck.as_fd()], -1).is_empty() {}
    }
    let _none = process::kill(-1, libc::SIGKILL);
    process::leave(0)
}

/// The guardian is of the same user and no member of the domain: only the scope can refuse it.
fn scoped(guardian: i32) -> bool {
    process::kill(guardian, 0).is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
}
