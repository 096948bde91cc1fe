//! Mounts of this process's own: a namespace for them, and what is mounted in it before anything of a session runs.

use super::errno::{Errno, Sys, check};
use super::files::{self, Stat};
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// The magic number of tmpfs (linux/magic.h).
const MEMORY_MAGIC: i64 = 0x0102_1994;

/// From here on this process and what it forks see mounts of their own. What is mounted outside comes in as before; what is mounted here stays here.
///
/// # Errors
/// EPERM: needs CAP_SYS_ADMIN. EINVAL: the root directory is none of a mount (chroot).
pub fn own_mounts() -> Sys<()> {
    // SAFETY: flags only.
    check(i64::from(unsafe { libc::unshare(libc::CLONE_NEWNS) }))?;
    mount(None, c"/", None, libc::MS_REC | libc::MS_SLAVE, None)
}

/// An empty file system in memory at `place`, with the owner and rights that `like` has, and as large and as executable as what `there` lies on.
///
/// # Errors
/// EROFS: what `there` lies on is read-only. EACCES, EPERM: this process may not mount.
pub fn memory(place: &CStr, like: &Stat, there: BorrowedFd<'_>) -> Sys<()> {
    let (bytes, mounted) = size_and_flags(there)?;
    if mounted & libc::ST_RDONLY != 0 {
        return Err(Errno(libc::EROFS));
    }
    let no_exec = mounted & libc::ST_NOEXEC != 0;
    let size = bytes.map_or_else(String::new, |bytes| format!(",size={bytes}"));
    let options = files::text(format!("mode={:o},uid={},gid={}{size}", like.mode & 0o7777, like.user, like.group).as_bytes())?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | if no_exec { libc::MS_NOEXEC } else { 0 };
    mount(Some(c"interlock"), place, Some(c"tmpfs"), flags, Some(&options))
}

/// What is held, once more at `place`, with all that is mounted below it.
///
/// # Errors
/// ENOTDIR: one is a directory and the other is not. EACCES, EPERM: this process may not mount.
pub fn bind(held: BorrowedFd<'_>, place: &CStr) -> Sys<()> {
    mount(Some(&files::magic(held).absolute()), place, None, libc::MS_BIND | libc::MS_REC, None)
}

/// Takes away what was mounted last at `place`, and all that is mounted in it.
///
/// # Errors
/// EINVAL: nothing is mounted there.
pub fn detach(place: &CStr) -> Sys<()> {
    // SAFETY: place is NUL-terminated.
    check(i64::from(unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) })).map(drop)
}

fn mount(source: Option<&CStr>, place: &CStr, kind: Option<&CStr>, flags: libc::c_ulong, options: Option<&CStr>) -> Sys<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: each text is NUL-terminated and alive, or null where mount(2) reads none; the options are text, as tmpfs reads them.
    let returned = unsafe { libc::mount(pointer(source), place.as_ptr(), pointer(kind), flags, pointer(options).cast()) };
    check(i64::from(returned)).map(drop)
}

/// How large a file system in memory is (`None`: it lies on a disk, or has no limit), and how it is mounted (`ST_*`).
fn size_and_flags(file: BorrowedFd<'_>) -> Sys<(Option<u64>, libc::c_ulong)> {
    // SAFETY: an all-zero statvfs is a valid value of a plain C struct.
    let mut raw: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: raw is live and of the right type.
    check(i64::from(unsafe { libc::fstatvfs(file.as_raw_fd(), &mut raw) }))?;
    let bytes = raw.f_frsize.checked_mul(raw.f_blocks).filter(|bytes| *bytes > 0);
    let in_memory = files::file_system(file)? == MEMORY_MAGIC;
    Ok((bytes.filter(|_| in_memory), raw.f_flag))
}
