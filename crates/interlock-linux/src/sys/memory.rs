//! Reading another thread's memory, and writing results into it. Nothing here trusts what is read: it is a snapshot that others may change, and the
//! thread id may have been given to somebody else meanwhile, which only a valid notification rules out (`door::caller`).

use super::errno::{Errno, Sys};
use std::os::unix::fs::FileExt as _;

/// Longest path the kernel takes, its NUL included (limits.h).
pub const PATH_BYTES_MAX: usize = 4096;
const PAGE: u64 = 4096;

/// Fills `into` from `address` in the memory of `thread`.
///
/// Returns EFAULT when any byte of it is not mapped (process_vm_readv(2); a partial read counts as a fault).
pub fn read(thread: i32, address: u64, into: &mut [u8]) -> Sys<()> {
    if into.is_empty() {
        return Ok(());
    }
    let wanted = into.len();
    match read_some(thread, address, into) {
        Ok(count) if count == wanted => Ok(()),
        Ok(_) => Err(Errno(libc::EFAULT)),
        Err(error) => Err(error),
    }
}

/// The bytes at `address` up to the first NUL, which is not included.
///
/// At most `limit` bytes with the NUL; a longer text is `too_long`. A fault before the NUL is EFAULT.
pub fn read_text(thread: i32, address: u64, limit: usize, too_long: i32) -> Sys<Vec<u8>> {
    let mut text = Vec::with_capacity(256);
    while text.len() < limit {
        let at = address.checked_add(text.len() as u64).ok_or(Errno(libc::EFAULT))?;
        // INVARIANT: one read never crosses a page, so that a text that ends right before unmapped memory is still read.
        let to_page_end = (PAGE - at % PAGE) as usize;
        let mut piece = [0_u8; PAGE as usize];
        let Some(window) = piece.get_mut(..to_page_end.min(limit - text.len())) else {
            return Err(Errno(libc::EFAULT));
        };
        read(thread, at, window)?;
        if let Some(end) = window.iter().position(|byte| *byte == 0) {
            text.extend(window.iter().take(end));
            return Ok(text);
        }
        text.extend_from_slice(window);
    }
    Err(Errno(too_long))
}

fn read_some(thread: i32, address: u64, into: &mut [u8]) -> Sys<usize> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote = libc::iovec { iov_base: address as usize as *mut libc::c_void, iov_len: into.len() };
    // SAFETY: `local` is the caller's exclusive slice; `remote` is an address in another process, never dereferenced here.
    let count = unsafe { libc::process_vm_readv(thread, &local, 1, &remote, 1, 0) };
    if count >= 0 {
        return Ok(count as usize);
    }
    match Errno::last() {
        Errno(libc::EPERM | libc::ENOSYS) => read_by_file(thread, address, into),
        error => Err(error),
    }
}

/// Some containers forbid process_vm_readv but leave `/proc/TID/mem`. That one reads memory without permissions (PROT_NONE) as well: the caller's
/// own, to which it pointed.
fn read_by_file(thread: i32, address: u64, into: &mut [u8]) -> Sys<usize> {
    let memory = std::fs::File::open(format!("/proc/{thread}/mem"))?;
    memory.read_at(into, address).map_err(unmapped)
}

/// Writes `bytes` at `address` in the memory of `thread`: results that a call returns through a pointer.
///
/// EFAULT where it is not mapped or not writable.
pub fn write(thread: i32, address: u64, bytes: &[u8]) -> Sys<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as usize as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: `local` is only read; `remote` is an address in another process, never dereferenced here.
    let count = unsafe { libc::process_vm_writev(thread, &local, 1, &remote, 1, 0) };
    let count = match (usize::try_from(count), Errno::last()) {
        (Ok(count), _) => count,
        (Err(_), Errno(libc::EPERM | libc::ENOSYS)) => {
            let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{thread}/mem"))?;
            memory.write_at(bytes, address).map_err(unmapped)?
        }
        (Err(_), error) => return Err(error),
    };
    if count == bytes.len() { Ok(()) } else { Err(Errno(libc::EFAULT)) }
}

/// What `/proc/TID/mem` says of an address that is not mapped (EIO), or of one past every offset (EINVAL).
fn unmapped(error: std::io::Error) -> Errno {
    match error.raw_os_error() {
        Some(libc::EIO | libc::EINVAL) => Errno(libc::EFAULT),
        _ => error.into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn own() -> i32 {
        std::process::id() as i32
    }

    #[test]
    fn a_text_is_read_up_to_its_nul() {
        let text = b"/etc/passwd\0rest";
        assert_eq!(read_text(own(), text.as_ptr() as u64, 4096, libc::ENAMETOOLONG).unwrap(), b"/etc/passwd");
    }

    #[test]
    fn a_text_across_pages_is_whole_and_a_longer_one_is_too_long() {
        let mut text = vec![b'a'; 4095];
        text.push(0);
        assert_eq!(read_text(own(), text.as_ptr() as u64, PATH_BYTES_MAX, libc::ENAMETOOLONG).unwrap().len(), 4095);
        text[4095] = b'a';
        text.push(0);
        assert_eq!(read_text(own(), text.as_ptr() as u64, PATH_BYTES_MAX, libc::ENAMETOOLONG), Err(Errno(libc::ENAMETOOLONG)));
    }

    #[test]
    fn a_bad_pointer_is_a_fault() {
        assert_eq!(read_text(own(), 0, 4096, libc::ENAMETOOLONG), Err(Errno(libc::EFAULT)));
        assert_eq!(read_text(own(), u64::MAX - 3, 4096, libc::ENAMETOOLONG), Err(Errno(libc::EFAULT)));
        assert_eq!(read(own(), 8, &mut [0_u8; 8]), Err(Errno(libc::EFAULT)));
    }

    #[test]
    fn results_arrive_and_a_bad_pointer_is_a_fault() {
        let mut place = [0_u8; 4];
        write(own(), place.as_mut_ptr() as u64, &[1, 2, 3]).unwrap();
        assert_eq!(place, [1, 2, 3, 0]);
        assert_eq!(write(own(), 8, &[1]), Err(Errno(libc::EFAULT)));
    }

    #[test]
    fn by_file_it_is_the_same() {
        let text = *b"/etc/passwd";
        let mut into = [0_u8; 11];
        assert_eq!(read_by_file(own(), text.as_ptr() as u64, &mut into), Ok(11));
        assert_eq!(into, text);
        for address in [0, 8, u64::MAX - 3] {
            assert_eq!(read_by_file(own(), address, &mut into), Err(Errno(libc::EFAULT)));
        }
    }
}
