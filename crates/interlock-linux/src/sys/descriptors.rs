//! Descriptors: pipes, sockets by number, closing what was inherited.
//!
//! Opening files for a caller is the door's (`sys/files`).

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A pipe, both ends close-on-exec: (read, write).
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel fills two ints.
    check(i64::from(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }))?;
    let [read, write] = ends;
    // SAFETY: both were made by this call and are owned by nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write)) })
}

/// Takes over a descriptor that was inherited at exec under a number said beforehand.
///
/// # Errors
/// EBADF when there is none under that number.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD reads nothing but the table.
    check(i64::from(unsafe { libc::fcntl(number, libc::F_GETFD) }))?;
    // SAFETY: the launcher handed this number over for us to own; the caller adopts each number once.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    close_on_exec(&owned)?;
    Ok(owned)
}

fn close_on_exec(owned: &OwnedFd) -> io::Result<()> {
    // SAFETY: flags only.
    check(i64::from(unsafe { libc::fcntl(owned.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })).map(|_| ())
}

/// Closes every descriptor of the process but `kept`, whoever opened it.
pub fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<u32> = kept.iter().filter_map(|number| u32::try_from(*number).ok()).collect();
    kept.sort_unstable();
    let mut first = 0;
    for number in kept {
        if number > first {
            close_range(first, number - 1);
        }
        first = number + 1;
    }
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: closing descriptors that no living object of this process will use again; called at start and in a fresh child only.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Makes `number` refer to what `source` does, surviving exec.
///
/// # Errors
/// EBADF, EMFILE.
pub fn place(source: RawFd, number: RawFd) -> io::Result<()> {
    if source == number {
        // SAFETY: clears the close-on-exec flag only.
        return check(i64::from(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })).map(|_| ());
    }
    // SAFETY: dup2 onto a number the caller means to replace.
    check(i64::from(unsafe { libc::dup2(source, number) })).map(|_| ())
}

/// A duplicate at or above `least`, close-on-exec.
///
/// # Errors
/// EBADF, EMFILE.
pub fn duplicate_above(source: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: makes a new descriptor, owned by the result.
    let number = check(i64::from(unsafe { libc::fcntl(source.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) }))?;
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(number).unwrap_or(-1)) })
}

/// Duplicates descriptor `number` of another process, by its pidfd (pidfd_getfd(2)).
///
/// # Errors
/// EPERM: not permitted to trace it. EBADF: it has no such descriptor.
pub fn take_from(process: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let taken = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })?;
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(taken).unwrap_or(-1)) })
}

/// Waits until one of `watched` is readable or hung up; gives the indices that are. `milliseconds` below 0 waits for ever.
pub fn wait_readable(watched: &[BorrowedFd<'_>], milliseconds: i32) -> Vec<usize> {
    let mut polls: Vec<libc::pollfd> =
        watched.iter().map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
    // SAFETY: a live array of that many pollfd.
    unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, milliseconds) };
    polls.iter().enumerate().filter(|(_, poll)| poll.revents != 0).map(|(index, _)| index).collect()
}

/// Whether the other end of a connected socket says no more, or is gone.
#[must_use]
pub fn has_left(socket: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents != 0
}

/// Takes a shared lock (flock(2)), kept until the last duplicate of the descriptor is closed.
///
/// # Errors
/// ENOLCK and the like.
pub fn lock_shared(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an open descriptor and a flag.
    check(i64::from(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH) })).map(|_| ())
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// With others that hold it so.
    Shared,
    /// By one alone.
    Alone,
}

/// Takes a lock, if nobody is in the way. Whether it was taken.
///
/// # Errors
/// ENOLCK and the like.
pub fn try_lock(file: BorrowedFd<'_>, how: Lock) -> io::Result<bool> {
    let operation = if how == Lock::Shared { libc::LOCK_SH } else { libc::LOCK_EX };
    // SAFETY: an open descriptor and flags.
    match check(i64::from(unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) })) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets a lock go.
pub fn unlock(file: BorrowedFd<'_>) {
    // SAFETY: an open descriptor and a flag. Of an open file it cannot fail, and the lock goes with the process besides.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

/// Bytes written to a socket that have not left it (SIOCOUTQ, udp(7)).
///
/// # Errors
/// ENOTTY and the like.
pub fn unsent(socket: BorrowedFd<'_>) -> io::Result<i32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: an open descriptor, and a live int that the kernel fills.
    check(i64::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) }))?;
    Ok(bytes)
}

/// Credentials of a unix socket's peer: (process, user).
///
/// # Errors
/// ENOTCONN and the like.
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<(i32, u32)> {
    let mut found = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = std::mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel fills at most `length` bytes of a live ucred.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut found).cast(), &raw mut length) };
    check(i64::from(result))?;
    Ok((found.pid, found.uid))
}

/// Borrows a descriptor by its number, which the caller holds open.
#[must_use]
pub fn borrow(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: used in the start's own single-threaded processes, whose ends stay open until they exec or exit.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Writes all of it.
///
/// # Errors
/// EPIPE and the like.
pub fn write_all(end: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: a live slice and its length.
        let written = check(unsafe { libc::write(end.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) } as i64)?;
        bytes = bytes.get(usize::try_from(written).unwrap_or(0)..).unwrap_or_default();
    }
    Ok(())
}

/// Reads one byte; nothing when the other side is gone.
#[must_use]
pub fn read_byte(end: BorrowedFd<'_>) -> Option<u8> {
    let mut byte = 0u8;
    loop {
        // SAFETY: one live byte.
        match unsafe { libc::read(end.as_raw_fd(), (&raw mut byte).cast(), 1) } {
            1 => return Some(byte),
            -1 if io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            _ => return None,
        }
    }
}

/// Throws away what is readable now (a non-blocking descriptor).
pub fn drain(end: BorrowedFd<'_>) {
    let mut sink = [0u8; 1024];
    // SAFETY: a live buffer and its length.
    while unsafe { libc::read(end.as_raw_fd(), sink.as_mut_ptr().cast(), sink.len()) } > 0 {}
}

/// Lets go of what 0, 1 and 2 were, so that a process that outlives its command does not hold its pipes open.
pub fn detach_stdio() {
    // SAFETY: a constant string; the numbers are replaced, never left free for another file to take.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for number in 0..=2 {
            if null >= 0 {
                libc::dup2(null, number);
            }
        }
        if null > 2 {
            libc::close(null);
        }
    }
}

/// Closes a descriptor that was inherited and belongs to no object of this process.
pub fn close(number: RawFd) {
    // SAFETY: the caller names one it was handed over to close.
    unsafe { libc::close(number) };
}

/// The number of the terminal whose master side this is (TIOCGPTN, ioctl_tty(2)).
///
/// # Errors
/// ENOTTY: it is none.
pub fn terminal_number(master: BorrowedFd<'_>) -> io::Result<u32> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the kernel fills one unsigned int.
    check(i64::from(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number) }))?;
    Ok(number)
}
