//! What a copy takes over from the file that it stands for: owner, mode, attributes and times; and whether anybody may still write to a file.

use super::errno::{Errno, Sys, check};
use rustix::fs::{self, Gid, Timespec, Timestamps, Uid, XattrFlags};
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

/// All names of a file's attributes, and one value, in bytes (XATTR_LIST_MAX, XATTR_SIZE_MAX).
const ATTRIBUTES_BYTES_MAX: usize = 65_536;
/// What of the mode a copy keeps: it never runs as its owner or group.
const MODE_KEPT: u32 = 0o1777;

/// Gives `copy` what `of`, which is open for reading, has besides its content.
///
/// # Errors
/// Whatever of it this thread may not give.
pub fn take_after(copy: BorrowedFd<'_>, of: BorrowedFd<'_>) -> Sys<()> {
    take_owner(copy, of)?;
    take_attributes(copy, of)
}

/// Gives `copy` the owner and group of `of`.
///
/// # Errors
/// EPERM: this thread may not.
pub fn take_owner(copy: BorrowedFd<'_>, of: BorrowedFd<'_>) -> Sys<()> {
    let (now, wanted) = (fs::fstat(copy).map_err(errno)?, fs::fstat(of).map_err(errno)?);
    if (now.st_uid, now.st_gid) == (wanted.st_uid, wanted.st_gid) {
        return Ok(());
    }
    fs::fchown(copy, Some(Uid::from_raw(wanted.st_uid)), Some(Gid::from_raw(wanted.st_gid))).map_err(errno)
}

/// Gives `copy` mode, attributes and times of `of`.
///
/// # Errors
/// Whatever of it this thread may not give.
pub fn take_attributes(copy: BorrowedFd<'_>, of: BorrowedFd<'_>) -> Sys<()> {
    let wanted = fs::fstat(of).map_err(errno)?;
    for name in attributes(of)? {
        let mut value = vec![0_u8; ATTRIBUTES_BYTES_MAX];
        let set = fs::fgetxattr(of, &name, value.as_mut_slice())
            .and_then(|length| fs::fsetxattr(copy, &name, value.get(..length).unwrap_or_default(), XattrFlags::empty()));
        // The kernel's own attributes are a matter of the place where a file is made.
        let is_kernels = [b"security.".as_slice(), b"trusted."].iter().any(|kind| name.as_bytes().starts_with(kind));
        if !is_kernels {
            set.map_err(errno)?;
        }
    }
    take_mode(copy, of)?;
    let time = |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    let times = Timestamps {
        last_access: time(wanted.st_atime, wanted.st_atime_nsec as u64),
        last_modification: time(wanted.st_mtime, wanted.st_mtime_nsec as u64),
    };
    fs::futimens(copy, &times).map_err(errno)
}

/// Gives `copy` the mode of `of`.
///
/// # Errors
/// EPERM: this thread may not.
pub fn take_mode(copy: BorrowedFd<'_>, of: BorrowedFd<'_>) -> Sys<()> {
    let wanted = fs::fstat(of).map_err(errno)?;
    fs::fchmod(copy, fs::Mode::from_raw_mode(wanted.st_mode & MODE_KEPT)).map_err(errno)
}

fn attributes(of: BorrowedFd<'_>) -> Sys<Vec<CString>> {
    let mut names = vec![0_u8; ATTRIBUTES_BYTES_MAX];
    match fs::flistxattr(of, names.as_mut_slice()) {
        Ok(length) => {
            let names = names.get(..length).unwrap_or_default().split(|byte| *byte == 0);
            names.filter(|name| !name.is_empty()).map(super::files::text).collect()
        }
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(error) => Err(errno(error)),
    }
}

/// Writes a file's content to the disk.
pub fn sync(file: BorrowedFd<'_>) -> Sys<()> {
    fs::fsync(file).map_err(errno)
}

/// Whether nobody has a file open for writing or mapped so that it can be written: then, and only then, the kernel gives a lease for reading.
/// `file` is open for reading only; the lease is given back at once.
pub fn nobody_writes(file: BorrowedFd<'_>) -> Sys<bool> {
    // Whoever opens it in that moment breaks the lease, of which the kernel tells by a signal: by one that nobody minds, not SIGIO, which kills.
    // SAFETY: no memory is passed.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), SETSIG, libc::SIGURG) }))?;
    // SAFETY: no memory is passed.
    match check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) })) {
        Ok(_) => {
            // SAFETY: no memory is passed.
            check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) })).map(|_| true)
        }
        Err(Errno(libc::EAGAIN)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// F_SETSIG (fcntl.h), which libc does not name.
const SETSIG: i32 = 10;

fn errno(error: rustix::io::Errno) -> Errno {
    Errno(error.raw_os_error())
}
