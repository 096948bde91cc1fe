//! File handles: what tells an object from a later one that was given the same inode number. Source: name_to_handle_at(2), linux/exportfs.h.
//!
//! INVARIANT: a handle is told only where its file system counts generations of an inode number, so that none is told twice.
//! Left out: opening by handle, which nobody here may.

use super::errno::{Errno, Sys, check};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// MAX_HANDLE_SZ.
const BYTES_MAX: usize = 128;
/// AT_HANDLE_FID (6.5): a handle to compare, not to open by; also where the file system exports none (overlayfs).
const FOR_COMPARING: i32 = 0x200;
/// FILEID_INO32_GEN and FILEID_INO64_GEN: number and generation, the latter in the last word.
const NUMBER_AND_GENERATION: [(i32, usize); 2] = [(0x01, 8), (0x81, 12)];

/// `struct file_handle`.
#[repr(C)]
struct Raw {
    bytes: u32,
    kind: i32,
    handle: [u8; BYTES_MAX],
}

/// An object's own name within its file system: its type, and bytes that only the file system understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle(Box<[u8]>);

/// The handle of what is held (O_PATH will do). None: there is none that could be relied on.
#[must_use]
pub fn of(file: BorrowedFd<'_>) -> Option<Handle> {
    told(file, c"").ok().as_ref().and_then(unique)
}

/// The handle of what one name in a directory means, its symlink not followed.
#[must_use]
pub fn at(directory: BorrowedFd<'_>, name: &CStr) -> Option<Handle> {
    if name.is_empty() { None } else { told(directory, name).ok().as_ref().and_then(unique) }
}

fn told(directory: BorrowedFd<'_>, name: &CStr) -> Sys<Raw> {
    match ask(directory, name, FOR_COMPARING) {
        // A kernel without the flag.
        Err(Errno(libc::EINVAL)) => ask(directory, name, 0),
        result => result,
    }
}

fn ask(directory: BorrowedFd<'_>, name: &CStr, flags: i32) -> Sys<Raw> {
    let flags = if name.is_empty() { flags | libc::AT_EMPTY_PATH } else { flags };
    let mut raw = Raw { bytes: BYTES_MAX as u32, kind: 0, handle: [0; BYTES_MAX] };
    let mut mount = 0_i32;
    // SAFETY: the name is NUL-terminated; raw is live and says how many bytes it has room for; mount is live.
    let value = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            directory.as_raw_fd(),
            name.as_ptr(),
            std::ptr::from_mut(&mut raw),
            std::ptr::from_mut(&mut mount),
            flags,
        )
    };
    check(value).map(|_| raw)
}

fn unique(raw: &Raw) -> Option<Handle> {
    let bytes = raw.handle.get(..usize::try_from(raw.bytes).ok()?)?;
    let counted = NUMBER_AND_GENERATION.contains(&(raw.kind, bytes.len()));
    // File systems that count none leave it zero: such a handle says no more than the number.
    if bytes.is_empty() || (counted && bytes.ends_with(&[0; 4])) {
        return None;
    }
    Some(Handle([raw.kind.to_ne_bytes().as_slice(), bytes].concat().into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd as _;

    #[test]
    fn an_object_has_one_handle_by_descriptor_and_by_name() {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("interlock-handle-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        let name = std::ffi::CString::new(path.file_name().unwrap().as_encoded_bytes()).unwrap();
        let held = of(file.as_fd()).unwrap();
        assert_eq!(at(File::open(&folder).unwrap().as_fd(), &name), Some(held.clone()));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(of(file.as_fd()), Some(held), "it outlives the name");
    }

    #[test]
    fn what_counts_no_generations_has_none() {
        assert_eq!(of(File::open("/proc/self/status").unwrap().as_fd()), None);
        assert_eq!(of(std::os::unix::net::UnixStream::pair().unwrap().0.as_fd()), None);
        let raw = |kind, generation: u8| {
            let mut handle = [7; BYTES_MAX];
            handle[8..12].fill(generation);
            Raw { bytes: 12, kind, handle }
        };
        assert_eq!(unique(&raw(0x81, 0)), None);
        assert!(unique(&raw(0x81, 1)).is_some());
        assert!(unique(&raw(0x4d, 0)).is_some(), "not of this form");
    }
}
