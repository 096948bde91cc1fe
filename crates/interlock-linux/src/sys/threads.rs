//! Threads: their own umask and directory, and being woken from a blocking call.

use super::check;
use std::io;

/// Gives the calling thread a umask, root and working directory of its own.
///
/// # Errors
/// ENOMEM.
pub fn own_file_context() -> io::Result<()> {
    // SAFETY: unshares one table of the calling thread.
    check(i64::from(unsafe { libc::unshare(libc::CLONE_FS) })).map(|_| ())
}

/// The calling thread's id.
#[must_use]
pub fn id() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() }
}

/// The signal that takes a thread of the supervisor out of a blocking call with EINTR.
pub const INTERRUPT: i32 = libc::SIGUSR2;

/// Makes [`INTERRUPT`] interrupt without ending the process or restarting the call.
///
/// # Errors
/// None that the kernel documents for valid arguments.
pub fn prepare_interrupts() -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a zeroed sigaction is a valid one; the handler does nothing, so it is safe at any moment.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        check(i64::from(libc::sigaction(INTERRUPT, &raw const action, std::ptr::null_mut()))).map(|_| ())
    }
}

/// Interrupts a thread of this process.
pub fn interrupt(thread: i32) {
    // SAFETY: a signal whose handler does nothing, to a thread of our own.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, INTERRUPT) };
}
