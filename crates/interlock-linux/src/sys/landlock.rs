//! Landlock by its three system calls (landlock(7)): a ruleset is built by the supervisor and put on by the command.
//!
//! What it admits is `tree::wall`'s matter.

use super::check;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const VERSION: u32 = 1;
const PATH_BENEATH: u32 = 1;

/// Every file right of ABI 5 and later: execute, write, read, readdir, remove, make, refer, truncate, device ioctl.
pub const FILE_RIGHTS: u64 = (1 << 16) - 1;
/// Execute a file.
pub const EXECUTE: u64 = 1;
/// Read a file.
pub const READ_FILE: u64 = 1 << 2;
/// Bind and connect TCP.
pub const NETWORK_RIGHTS: u64 = 3;
/// Abstract unix sockets and signals stay within the domain (ABI 6).
pub const SCOPES: u64 = 3;
/// Abstract unix sockets alone.
const ABSTRACT: u64 = 1;

#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scopes: u64,
}

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// The ABI this kernel speaks.
///
/// # Errors
/// ENOSYS, EOPNOTSUPP: there is no Landlock here.
pub fn abi() -> io::Result<i64> {
    // SAFETY: no pointers with the VERSION flag.
    check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, VERSION) })
}

/// A ruleset that handles everything named above and admits nothing yet.
///
/// # Errors
/// EINVAL: the kernel lacks a right (ABI below 6).
pub fn ruleset() -> io::Result<OwnedFd> {
    make(&Ruleset { files: FILE_RIGHTS, network: NETWORK_RIGHTS, scopes: SCOPES })
}

fn make(handled: &Ruleset) -> io::Result<OwnedFd> {
    let bytes = std::mem::size_of::<Ruleset>();
    // SAFETY: a live struct and its size.
    let made = check(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::from_ref(handled), bytes, 0) })?;
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(made).unwrap_or(-1)) })
}

/// A ruleset that holds the scopes only.
///
/// # Errors
/// EINVAL: the kernel lacks them (ABI below 6).
pub fn scopes_only() -> io::Result<OwnedFd> {
    make(&Ruleset { files: 0, network: 0, scopes: SCOPES })
}

/// A ruleset that holds one scope only: abstract unix sockets.
///
/// # Errors
/// EINVAL: the kernel lacks it (ABI below 6).
pub fn abstract_only() -> io::Result<OwnedFd> {
    make(&Ruleset { files: 0, network: 0, scopes: ABSTRACT })
}

/// Opens what a rule stands on: an `O_PATH` descriptor, symlinks followed.
///
/// # Errors
/// ENOENT and the like.
pub fn place(path: &Path) -> io::Result<OwnedFd> {
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(path)?;
    Ok(file.into())
}

/// Admits `rights` at and beneath `parent` (an `O_PATH` descriptor).
///
/// # Errors
/// EINVAL: rights of a directory for a file.
pub fn admit(ruleset: BorrowedFd<'_>, parent: BorrowedFd<'_>, rights: u64) -> io::Result<()> {
    let rule = Beneath { allowed: rights, parent: parent.as_raw_fd() };
    // SAFETY: a live packed struct, as the kernel declares it.
    check(unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), PATH_BENEATH, &raw const rule, 0) }).map(|_| ())
}

/// Puts the ruleset on the calling thread and all it starts, for ever. `no_new_privs` must be set.
///
/// # Errors
/// EPERM: no_new_privs is not set. E2BIG: sixteen domains are stacked already.
pub fn restrict(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) }).map(|_| ())
}
