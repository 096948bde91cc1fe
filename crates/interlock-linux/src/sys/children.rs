//! Children as the kernel counts them.

use std::io;

/// Whether a thread has children, ended ones reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Left {
    Some,
    None,
}

/// Whether a process is a child of the calling thread, be it alive or not yet reaped.
#[must_use]
pub fn is_own(process: i32) -> bool {
    // SAFETY: a zeroed siginfo is a valid one.
    let mut told: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: one live siginfo.
    unsafe { libc::waitid(libc::P_PID, process as libc::id_t, &raw mut told, flags) == 0 }
}

/// Reaps every child of the calling thread that has ended, those too whose end is told to nobody, and names each to `ended`.
///
/// Children that another thread traces are that thread's to wait for. A sub-reaper's orphans come to its first thread.
pub fn reap_all(mut ended: impl FnMut(i32)) -> Left {
    loop {
        let mut status = 0;
        // SAFETY: one live int.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD) } {
            0 => return Left::Some,
            -1 if io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD) => return Left::None,
            -1 => {}
            process => ended(process),
        }
    }
}
