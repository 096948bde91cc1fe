//! Children as the kernel counts them.

use std::io;

/// Whether a thread has children, ended ones reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Left {
    Some,
    None,
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
