//! Files by descriptor: the *at family as the door needs it, one function a call, errno as a value.
//!
//! No function takes a path with more than one component from a caller except [`open_how`], whose `resolve` flags say
//! what the kernel may follow, and no function decides anything.

use super::errno::{Errno, Sys, check};
use std::ffi::{CStr, CString, c_int};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The magic number of procfs (linux/magic.h).
pub const PROC_MAGIC: i64 = 0x9fa0;

/// `struct open_how` of openat2(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OpenHow {
    pub flags: u64,
    pub mode: u64,
    pub resolve: u64,
}

/// What fstat(2) tells of an object, as far as the door reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Stat {
    pub device: u64,
    pub inode: u64,
    pub mode: u32,
    pub links: u64,
    pub user: u32,
    pub group: u32,
    pub special: u64,
    pub size: i64,
}

impl Stat {
    /// The type bits of the mode (S_IFREG, S_IFDIR, …).
    pub fn kind(&self) -> u32 {
        self.mode & libc::S_IFMT
    }

    /// Whether both are the same object.
    pub fn same(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }
}

impl From<libc::stat> for Stat {
    fn from(raw: libc::stat) -> Self {
        Self {
            device: raw.st_dev,
            inode: raw.st_ino,
            mode: raw.st_mode,
            links: raw.st_nlink,
            user: raw.st_uid,
            group: raw.st_gid,
            special: raw.st_rdev,
            size: raw.st_size,
        }
    }
}

/// Bytes as a C string; a NUL inside cannot come from a caller's memory and is EINVAL.
pub fn text(bytes: &[u8]) -> Sys<CString> {
    CString::new(bytes).map_err(|_| Errno(libc::EINVAL))
}

fn owned(value: i64) -> Sys<OwnedFd> {
    let number = check(value)?;
    // SAFETY: the kernel has just returned this descriptor to us and nobody else has its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}

/// openat2(2). O_CLOEXEC is always added.
pub fn open_how(directory: BorrowedFd<'_>, path: &CStr, how: OpenHow) -> Sys<OwnedFd> {
    let how = OpenHow { flags: how.flags | libc::O_CLOEXEC as u64, ..how };
    loop {
        // SAFETY: path is NUL-terminated, how is a live struct of the size given.
        let value =
            unsafe { libc::syscall(libc::SYS_openat2, directory.as_raw_fd(), path.as_ptr(), &how as *const OpenHow, size_of::<OpenHow>()) };
        match owned(value) {
            // A concurrent rename on the path made a scoped lookup inconclusive (openat2(2)): look again.
            Err(Errno(libc::EAGAIN)) if how.resolve & (libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT) == 0 => {}
            result => return result,
        }
    }
}

/// Another descriptor for the same open file.
pub fn duplicate(file: BorrowedFd<'_>) -> Sys<OwnedFd> {
    Ok(file.try_clone_to_owned()?)
}

/// openat(2). O_CLOEXEC is always added.
pub fn open_at(directory: BorrowedFd<'_>, name: &CStr, flags: i32, mode: u32) -> Sys<OwnedFd> {
    // SAFETY: name is NUL-terminated.
    owned(i64::from(unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags | libc::O_CLOEXEC, mode) }))
}

/// fstat(2).
pub fn stat(file: BorrowedFd<'_>) -> Sys<Stat> {
    // SAFETY: an all-zero stat is a valid value of a plain C struct.
    let mut raw: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: raw is live and of the right type.
    check(i64::from(unsafe { libc::fstat(file.as_raw_fd(), &mut raw) }))?;
    Ok(raw.into())
}

/// fstatat(2) on one name, its symlink not followed.
pub fn stat_at(directory: BorrowedFd<'_>, name: &CStr) -> Sys<Stat> {
    // SAFETY: an all-zero stat is a valid value of a plain C struct.
    let mut raw: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: name is NUL-terminated, raw is live and of the right type.
    check(i64::from(unsafe { libc::fstatat(directory.as_raw_fd(), name.as_ptr(), &mut raw, libc::AT_SYMLINK_NOFOLLOW) }))?;
    Ok(raw.into())
}

/// Whether names in a directory may be made and removed by whom this thread acts as (faccessat2(2)).
pub fn may_change_names(directory: BorrowedFd<'_>) -> Sys<()> {
    let how = libc::AT_EACCESS | libc::AT_EMPTY_PATH;
    // SAFETY: an empty name, NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_faccessat2, directory.as_raw_fd(), c"".as_ptr(), libc::W_OK | libc::X_OK, how) }).map(|_| ())
}

/// Whether whom this thread acts as may access the object at `path` so (faccessat2(2); `access`: R_OK, W_OK, X_OK).
pub fn may(path: &CStr, access: i32) -> Sys<()> {
    // SAFETY: path is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_faccessat2, libc::AT_FDCWD, path.as_ptr(), access, libc::AT_EACCESS) }).map(|_| ())
}

/// The magic number of the file system an object lies on (fstatfs(2)).
pub fn file_system(file: BorrowedFd<'_>) -> Sys<i64> {
    // SAFETY: an all-zero statfs is a valid value of a plain C struct.
    let mut raw: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: raw is live and of the right type.
    check(i64::from(unsafe { libc::fstatfs(file.as_raw_fd(), &mut raw) }))?;
    Ok(raw.f_type)
}

/// readlinkat(2); an empty name reads the link that the descriptor itself is.
pub fn read_link(directory: BorrowedFd<'_>, name: &CStr) -> Sys<Vec<u8>> {
    let mut buffer = [0_u8; super::memory::PATH_BYTES_MAX + 1];
    // SAFETY: buffer is live for its whole length.
    let count = unsafe { libc::readlinkat(directory.as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    let count = check(count as i64)? as usize;
    match buffer.get(..count) {
        Some(link) if count < buffer.len() => Ok(link.to_vec()),
        _ => Err(Errno(libc::ENAMETOOLONG)),
    }
}

/// All of a small file, as those of `/proc/PID` are.
pub fn read_small(file: OwnedFd) -> Sys<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::with_capacity(2048);
    std::fs::File::from(file).take(65_536 * 12).read_to_end(&mut content)?;
    Ok(content)
}

/// Whether a directory has a default ACL: then that takes the place of the maker's umask (acl(5)).
pub fn has_default_acl(magic: &CStr) -> Sys<bool> {
    // SAFETY: both texts are NUL-terminated; a size of 0 asks for the size and writes nothing.
    let size = unsafe { libc::getxattr(magic.as_ptr(), c"system.posix_acl_default".as_ptr(), std::ptr::null_mut(), 0) };
    match check(size as i64) {
        Ok(_) => Ok(true),
        Err(Errno(libc::ENODATA | libc::EOPNOTSUPP)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// mkdirat(2).
pub fn make_directory(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> Sys<()> {
    // SAFETY: name is NUL-terminated.
    check(i64::from(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), mode) })).map(drop)
}

/// mknodat(2); `mode` holds the type.
pub fn make_node(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> Sys<()> {
    // SAFETY: name is NUL-terminated.
    check(i64::from(unsafe { libc::mknodat(parent.as_raw_fd(), name.as_ptr(), mode, 0) })).map(drop)
}

/// symlinkat(2).
pub fn make_symlink(content: &CStr, parent: BorrowedFd<'_>, name: &CStr) -> Sys<()> {
    // SAFETY: both texts are NUL-terminated.
    check(i64::from(unsafe { libc::symlinkat(content.as_ptr(), parent.as_raw_fd(), name.as_ptr()) })).map(drop)
}

/// linkat(2), AT_SYMLINK_FOLLOW: `from` is a magic link to the object to be named.
pub fn link(from: BorrowedFd<'_>, magic: &CStr, parent: BorrowedFd<'_>, name: &CStr) -> Sys<()> {
    // SAFETY: both texts are NUL-terminated.
    let value = unsafe { libc::linkat(from.as_raw_fd(), magic.as_ptr(), parent.as_raw_fd(), name.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    check(i64::from(value)).map(drop)
}

/// unlinkat(2); `flags` is 0 or AT_REMOVEDIR.
pub fn unlink(parent: BorrowedFd<'_>, name: &CStr, flags: i32) -> Sys<()> {
    // SAFETY: name is NUL-terminated.
    check(i64::from(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), flags) })).map(drop)
}

/// renameat2(2).
pub fn rename(from: BorrowedFd<'_>, old: &CStr, to: BorrowedFd<'_>, new: &CStr, flags: u32) -> Sys<()> {
    // SAFETY: both texts are NUL-terminated.
    let value = unsafe { libc::syscall(libc::SYS_renameat2, from.as_raw_fd(), old.as_ptr(), to.as_raw_fd(), new.as_ptr(), flags) };
    check(value).map(drop)
}

/// chmod(2) through a magic link.
pub fn change_mode(directory: BorrowedFd<'_>, magic: &CStr, mode: u32) -> Sys<()> {
    // SAFETY: the text is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_fchmodat, directory.as_raw_fd(), magic.as_ptr(), mode) }).map(drop)
}

/// fchmod(2).
pub fn change_mode_of(file: BorrowedFd<'_>, mode: u32) -> Sys<()> {
    // SAFETY: no memory is passed.
    check(i64::from(unsafe { libc::fchmod(file.as_raw_fd(), mode) })).map(drop)
}

/// fchownat(2) on the object itself, AT_EMPTY_PATH.
pub fn change_owner(object: BorrowedFd<'_>, user: u32, group: u32) -> Sys<()> {
    // SAFETY: the text is NUL-terminated.
    check(i64::from(unsafe { libc::fchownat(object.as_raw_fd(), c"".as_ptr(), user, group, libc::AT_EMPTY_PATH) })).map(drop)
}

/// fchown(2).
pub fn change_owner_of(file: BorrowedFd<'_>, user: u32, group: u32) -> Sys<()> {
    // SAFETY: no memory is passed.
    check(i64::from(unsafe { libc::fchown(file.as_raw_fd(), user, group) })).map(drop)
}

/// utimensat(2) on the object itself, AT_EMPTY_PATH; `times` are (seconds, nanoseconds) of access and change, `None` for now.
pub fn change_times(object: BorrowedFd<'_>, times: Option<[(i64, i64); 2]>) -> Sys<()> {
    let raw = times.map(|pair| pair.map(|(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec }));
    let pointer = raw.as_ref().map_or(std::ptr::null(), |pair| pair.as_ptr());
    // SAFETY: pointer is null or two live timespecs; the text is NUL-terminated.
    check(unsafe { libc::syscall(libc::SYS_utimensat, object.as_raw_fd(), c"".as_ptr(), pointer, libc::AT_EMPTY_PATH) }).map(drop)
}

/// futimens(2).
pub fn change_times_of(file: BorrowedFd<'_>, times: Option<[(i64, i64); 2]>) -> Sys<()> {
    let raw = times.map(|pair| pair.map(|(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec }));
    let pointer = raw.as_ref().map_or(std::ptr::null(), |pair| pair.as_ptr());
    // SAFETY: pointer is null or two live timespecs.
    check(unsafe { libc::syscall(libc::SYS_utimensat, file.as_raw_fd(), std::ptr::null::<libc::c_char>(), pointer, 0) }).map(drop)
}

/// setxattr(2) through an absolute magic link.
pub fn set_attribute(magic: &CStr, name: &CStr, value: &[u8], flags: i32) -> Sys<()> {
    // SAFETY: texts are NUL-terminated, value is live for its length.
    check(i64::from(unsafe { libc::setxattr(magic.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) })).map(drop)
}

/// fsetxattr(2).
pub fn set_attribute_of(file: BorrowedFd<'_>, name: &CStr, value: &[u8], flags: i32) -> Sys<()> {
    // SAFETY: the text is NUL-terminated, value is live for its length.
    check(i64::from(unsafe { libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) })).map(drop)
}

/// removexattr(2) through an absolute magic link.
pub fn remove_attribute(magic: &CStr, name: &CStr) -> Sys<()> {
    // SAFETY: texts are NUL-terminated.
    check(i64::from(unsafe { libc::removexattr(magic.as_ptr(), name.as_ptr()) })).map(drop)
}

/// fremovexattr(2).
pub fn remove_attribute_of(file: BorrowedFd<'_>, name: &CStr) -> Sys<()> {
    // SAFETY: the text is NUL-terminated.
    check(i64::from(unsafe { libc::fremovexattr(file.as_raw_fd(), name.as_ptr()) })).map(drop)
}

/// truncate(2) through an absolute magic link.
pub fn truncate(magic: &CStr, length: i64) -> Sys<()> {
    // SAFETY: the text is NUL-terminated.
    check(i64::from(unsafe { libc::truncate(magic.as_ptr(), length) })).map(drop)
}

/// ftruncate(2).
pub fn truncate_of(file: BorrowedFd<'_>, length: i64) -> Sys<()> {
    // SAFETY: no memory is passed.
    check(i64::from(unsafe { libc::ftruncate(file.as_raw_fd(), length) })).map(drop)
}

/// The status flags of an open file (F_GETFL).
pub fn open_flags(file: BorrowedFd<'_>) -> Sys<i32> {
    // SAFETY: no memory is passed.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })).map(|flags| flags as i32)
}

/// A copy of descriptor `number` of another thread: the same open file (pidfd_getfd(2)).
///
/// PIDFD_THREAD (6.9) makes it the table of that very thread; before, of its process, which differs only after CLONE_FILES was undone.
pub fn copy_descriptor(thread: i32, process: impl FnOnce() -> Sys<i32>, number: i32) -> Sys<OwnedFd> {
    const PIDFD_THREAD: u32 = libc::O_EXCL as u32;
    // SAFETY: no memory is passed.
    let handle = match owned(unsafe { libc::syscall(libc::SYS_pidfd_open, thread, PIDFD_THREAD) }) {
        // SAFETY: no memory is passed.
        Err(Errno(libc::EINVAL)) => owned(unsafe { libc::syscall(libc::SYS_pidfd_open, process()?, 0) })?,
        result => result?,
    };
    // SAFETY: no memory is passed.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, handle.as_raw_fd(), number, 0) })
}

/// A new anonymous memory file, empty: its device is the one all such files share.
pub fn memory_file() -> Sys<OwnedFd> {
    // SAFETY: the text is NUL-terminated.
    owned(i64::from(unsafe { libc::memfd_create(c"device".as_ptr(), libc::MFD_CLOEXEC) }))
}

/// A memory file that holds `bytes` and never anything else (memfd_create(2), File sealing).
pub fn sealed(bytes: &[u8]) -> Sys<OwnedFd> {
    use std::io::Write as _;
    const SEALS: c_int = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: the text is NUL-terminated.
    let file = owned(i64::from(unsafe { libc::memfd_create(c"view".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) }))?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes).map_err(Errno::from)?;
    // SAFETY: no memory is passed.
    check(i64::from(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) }))?;
    Ok(file.into())
}

/// The soft limit of `thread` on the size of a file it makes longer (RLIMIT_FSIZE), in bytes.
pub fn size_limit(thread: i32) -> Sys<u64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: limit is live; the new limit is null, so nothing is changed.
    check(i64::from(unsafe { libc::prlimit64(thread, libc::RLIMIT_FSIZE, std::ptr::null(), &mut limit) }))?;
    Ok(limit.rlim_cur)
}

/// Opens what is held with these flags: the one moment at which the object, not a name, is given to the kernel. `own` is `/proc/self/fd`. It becomes
/// nobody's controlling terminal.
pub fn reopen(own: BorrowedFd<'_>, object: BorrowedFd<'_>, flags: i32, mode: u32) -> Sys<OwnedFd> {
    open_at(own, magic(object).as_c_str(), flags | libc::O_NOCTTY, mode)
}

/// The magic link to one of our own descriptors, as a name within `/proc/self/fd`.
#[must_use]
pub fn magic(file: BorrowedFd<'_>) -> Magic {
    Magic::of(file.as_raw_fd())
}

/// A descriptor's number as text, for `/proc/self/fd`.
pub struct Magic {
    digits: [u8; 12],
    first: usize,
}

impl Magic {
    fn of(number: c_int) -> Self {
        let mut magic = Self { digits: [0; 12], first: 11 };
        let mut rest = number.unsigned_abs();
        loop {
            magic.first -= 1;
            if let Some(digit) = magic.digits.get_mut(magic.first) {
                *digit = b'0' + (rest % 10) as u8;
            }
            rest /= 10;
            if rest == 0 || magic.first == 0 {
                return magic;
            }
        }
    }

    /// The number, NUL-terminated.
    pub fn as_c_str(&self) -> &std::ffi::CStr {
        self.digits.get(self.first..).and_then(|text| std::ffi::CStr::from_bytes_with_nul(text).ok()).unwrap_or(c"")
    }

    /// The same as an absolute path, for calls that take no directory.
    pub fn absolute(&self) -> CString {
        let mut path = b"/proc/self/fd/".to_vec();
        path.extend_from_slice(self.as_c_str().to_bytes());
        CString::new(path).unwrap_or_default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_magic_name_is_the_number() {
        for number in [0, 7, 10, 99, 1_048_576, i32::MAX] {
            assert_eq!(Magic::of(number).as_c_str().to_str().unwrap(), number.to_string());
        }
        assert_eq!(Magic::of(63).absolute().to_str().unwrap(), "/proc/self/fd/63");
    }
}
