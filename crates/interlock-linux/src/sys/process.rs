//! Processes: forking while single-threaded, pidfds, waiting, killing, what a process may do.

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Which side of a fork one is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Forked {
    Child,
    Parent(i32),
}

/// Forks. Only a single-threaded process may call it: the child goes on in ordinary code.
///
/// # Errors
/// EAGAIN: a limit on processes. ENOMEM.
pub fn fork() -> io::Result<Forked> {
    // SAFETY: by contract the process has one thread, so no lock is held by another that the child would lack.
    side(check(i64::from(unsafe { libc::fork() }))?)
}

/// Forks a sibling: its parent is this process's parent. Single-threaded, as [`fork`].
///
/// # Errors
/// As [`fork`].
pub fn fork_sibling() -> io::Result<Forked> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: no new stack, no shared memory: a fork whose child has another parent.
    side(check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?)
}

fn side(returned: i64) -> io::Result<Forked> {
    match i32::try_from(returned) {
        Ok(0) => Ok(Forked::Child),
        Ok(process) => Ok(Forked::Parent(process)),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EOVERFLOW)),
    }
}

/// This process's id.
#[must_use]
pub fn id() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getpid() }
}

/// A descriptor for a process, that cannot come to mean another.
///
/// # Errors
/// ESRCH: it is gone.
pub fn descriptor(process: i32) -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    let made = check(unsafe { libc::syscall(libc::SYS_pidfd_open, process, 0) })?;
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(made).unwrap_or(-1)) })
}

/// Sends a signal through a process descriptor.
///
/// # Errors
/// ESRCH, EPERM.
pub fn signal_by(descriptor: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: no siginfo is passed.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, descriptor.as_raw_fd(), signal, std::ptr::null::<u8>(), 0) }).map(|_| ())
}

/// Sends a signal as kill(2) does.
///
/// # Errors
/// ESRCH, EPERM.
pub fn kill(process: i32, signal: i32) -> io::Result<()> {
    // SAFETY: integers only.
    check(i64::from(unsafe { libc::kill(process, signal) })).map(|_| ())
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Ended {
    pub process: i32,
    pub code: i32,
    pub signal: Option<i32>,
}

/// Reaps one child that has ended. `Ok(None)`: none has, yet.
///
/// # Errors
/// ECHILD: there is no child.
pub fn reap(wait: bool) -> io::Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: one live int.
    let process = unsafe { libc::waitpid(-1, &raw mut status, if wait { 0 } else { libc::WNOHANG }) };
    let process = check(i64::from(process))?;
    if process == 0 {
        return Ok(None);
    }
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 0 };
    Ok(Some(Ended { process: i32::try_from(process).unwrap_or(0), code, signal }))
}

/// The process a thread belongs to, from `/proc`.
#[must_use]
pub fn of_thread(thread: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// prctl(2) with one plain argument.
///
/// # Errors
/// EINVAL, EPERM.
pub fn control(option: i32, argument: u64) -> io::Result<i64> {
    // SAFETY: only options with integer arguments are passed by this crate.
    check(i64::from(unsafe { libc::prctl(option, argument, 0, 0, 0) }))
}

/// Sixteen random bytes in hexadecimal.
#[must_use]
pub fn random_hex() -> String {
    let mut bytes = [0u8; 16];
    // SAFETY: fills a live buffer of that length; after boot getrandom does not fail for so few bytes.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
