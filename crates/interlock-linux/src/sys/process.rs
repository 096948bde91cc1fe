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
    // SAFETY: by contract no other thread of the process runs (it has none, or they stand still), so no lock is held by one that the child would lack.
    side(check(i64::from(unsafe { libc::fork() }))?)
}

/// As [`fork`], but this process is told nothing of the child's end and [`reap`] does not see it, until the child executes a program.
///
/// # Errors
/// As [`fork`].
pub fn fork_unseen() -> io::Result<Forked> {
    // SAFETY: as `fork`: one thread, no shared memory; only the exit signal is left out.
    side(check(unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) })?)
}

/// Forks a sibling: its parent is this process's parent, and like this process it is unseen if this one is. Single-threaded, as [`fork`].
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

/// The process group of a process; nothing when it is gone.
#[must_use]
pub fn group_of(process: i32) -> Option<i32> {
    // SAFETY: an integer.
    Some(unsafe { libc::getpgid(process) }).filter(|group| *group > 1)
}

/// What this process is called in lists of processes, at most 15 bytes.
pub fn call_itself(name: &std::ffi::CStr) {
    // SAFETY: the kernel reads at most 16 bytes, up to the terminating zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
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

/// Makes this process the leader of a new session without a terminal. Already being one is no error.
pub fn new_session() {
    // SAFETY: no arguments.
    unsafe { libc::setsid() };
}

/// Puts this process into a process group of its own, in the session it is in. Already leading one is no error.
pub fn new_group() {
    // SAFETY: integers.
    unsafe { libc::setpgid(0, 0) };
}

/// The process group this process is in.
#[must_use]
pub fn group() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getpgrp() }
}

/// Whether this process leads its session: then all others of the session descend from it.
#[must_use]
pub fn leads_its_session() -> bool {
    // SAFETY: an integer.
    unsafe { libc::getsid(0) == libc::getpid() }
}

/// Makes the terminal behind `descriptor` the controlling one of this session.
///
/// # Errors
/// EPERM: it controls another session.
pub fn take_terminal(descriptor: i32) -> io::Result<()> {
    // SAFETY: the argument is an integer.
    check(i64::from(unsafe { libc::ioctl(descriptor, libc::TIOCSCTTY, 0) })).map(|_| ())
}

/// Whether a descriptor is a terminal.
#[must_use]
pub fn is_terminal(descriptor: i32) -> bool {
    // SAFETY: an integer.
    unsafe { libc::isatty(descriptor) == 1 }
}

/// Makes orphans of this process's descendants its own children.
///
/// # Errors
/// None that the kernel documents.
pub fn adopt_orphans() -> io::Result<()> {
    control(libc::PR_SET_CHILD_SUBREAPER, 1).map(|_| ())
}

/// This process's parent.
#[must_use]
pub fn parent() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getppid() }
}

/// The user this process acts as.
#[must_use]
pub fn user() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() }
}

/// Ends this process at once, without running anything of the forked image's.
pub fn leave(code: i32) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}

/// The signal's disposition becomes the default one.
pub fn default_signal(signal: i32) {
    // SAFETY: SIG_DFL is valid for every signal.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Gives this process System V and POSIX message objects of its own.
///
/// # Errors
/// EPERM: needs CAP_SYS_ADMIN.
pub fn own_ipc() -> io::Result<()> {
    // SAFETY: flags only.
    check(i64::from(unsafe { libc::unshare(libc::CLONE_NEWIPC) })).map(|_| ())
}

/// Replaces this process's image. Returns only on failure.
#[must_use]
pub fn replace(program: &std::ffi::CStr, arguments: &[std::ffi::CString], environment: &[std::ffi::CString]) -> io::Error {
    let pointers = |texts: &[std::ffi::CString]| texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with null and point to strings alive until the call returns.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Sets both bounds of a limit, the soft one no higher than the hard one allows.
pub fn limit(resource: u32, wanted: u64) {
    let mut bounds = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one live rlimit, filled and then read by the kernel.
    unsafe {
        if libc::getrlimit(resource, &raw mut bounds) == 0 {
            bounds.rlim_cur = wanted.min(bounds.rlim_max);
            libc::setrlimit(resource, &raw const bounds);
        }
    }
}

/// Takes a limit away as far as this process may, and gives what is left of it.
#[must_use]
pub fn lift(resource: u32) -> u64 {
    let mut bounds = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: one live rlimit, read and then filled by the kernel.
    unsafe {
        if libc::setrlimit(resource, &raw const bounds) != 0 && libc::getrlimit(resource, &raw mut bounds) == 0 {
            bounds.rlim_cur = bounds.rlim_max;
            libc::setrlimit(resource, &raw const bounds);
        }
    }
    bounds.rlim_cur
}

/// Waits for one child to end and gives its exit code; a signal counts as 128 and its number.
///
/// # Errors
/// ECHILD.
pub fn wait_for(process: i32) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: one live int.
    check(i64::from(unsafe { libc::waitpid(process, &raw mut status, 0) }))?;
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) })
}

/// A descriptor that becomes readable when a child ends. SIGCHLD stays blocked in the calling thread.
///
/// # Errors
/// EMFILE.
pub fn child_events() -> io::Result<OwnedFd> {
    // SAFETY: a zeroed set is filled by sigemptyset and sigaddset before use.
    let made = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        check(i64::from(libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))?
    };
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(made).unwrap_or(-1)) })
}

/// Lets the machine run out of others before this process. Refused without privilege, and nothing depends on it.
pub fn keep_from_oom() {
    let _unprivileged = std::fs::write("/proc/self/oom_score_adj", "-500");
}

/// The signal is ignored from now on: what caused it is an errno then.
pub fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN is valid for the signals this is called with.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Calls a system call with integer arguments, for tests of what the filter says to it.
#[must_use]
pub fn probe(number: i64, arguments: [u64; 6]) -> i32 {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: callers pass numbers whose pointer arguments are null or -1: the kernel answers EFAULT at worst.
    let returned = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if returned < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) } else { 0 }
}
