//! Reading another thread's memory, and writing results into it. Nothing here trusts what is read: it is a snapshot that others may change, and the
//! thread id may have been given to somebody else meanwhile, which only a valid notification rules out (`door::seen::caller`).

use super::errno::{Errno, Sys, last};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;

/// Longest path the kernel takes, its NUL included (limits.h).
pub const PATH_BYTES_MAX: usize = 4096;
const PAGE: u64 = 4096;
/// Of a line of proc_pid_maps(5): two addresses and the permissions.
const MAPPING_HEAD: usize = 16 + 1 + 16 + 1 + 4;

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
    match last() {
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

/// The memory of a thread, held for writing: whoever gets the thread's id later, it stays that memory.
pub struct Held {
    memory: File,
    mappings: File,
}

impl Held {
    /// The memory of whoever has this thread id now.
    pub fn of(thread: i32) -> Sys<Self> {
        let memory = std::fs::OpenOptions::new().write(true).open(format!("/proc/{thread}/mem"))?;
        Ok(Self { memory, mappings: File::open(format!("/proc/{thread}/maps"))? })
    }

    /// Writes `bytes` at `address`: results that a call returns through a pointer.
    ///
    /// EFAULT where it is not mapped or not writable. Asked of the mappings, for this file writes to read-only memory as well (proc_pid_mem(5)).
    pub fn write(self, address: u64, bytes: &[u8]) -> Sys<()> {
        let end = address.checked_add(bytes.len() as u64).ok_or(Errno(libc::EFAULT))?;
        if !is_writable(self.mappings, address, end)? {
            return Err(Errno(libc::EFAULT));
        }
        let count = self.memory.write_at(bytes, address).map_err(unmapped)?;
        if count == bytes.len() { Ok(()) } else { Err(Errno(libc::EFAULT)) }
    }
}

/// Whether all from `address` to `end` lies in writable mappings (proc_pid_maps(5)), which are told in order.
fn is_writable(mappings: File, mut address: u64, end: u64) -> Sys<bool> {
    for line in BufReader::new(mappings).split(b'\n') {
        let Some((from, to, writable)) = mapping(&line?) else { return Ok(false) };
        if to <= address {
            continue;
        }
        if from > address || !writable {
            return Ok(false);
        }
        address = to;
        if end <= address {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `55d0c0a00000-55d0c0a21000 rw-p …`: where it lies, and whether it may be written.
fn mapping(line: &[u8]) -> Option<(u64, u64, bool)> {
    let mut words = std::str::from_utf8(line.get(..line.len().min(MAPPING_HEAD))?).unwrap_or_default().split(' ');
    let (from, to) = words.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(from)?, number(to)?, words.next()?.as_bytes().get(1) == Some(&b'w')))
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
        Held::of(own()).unwrap().write(place.as_mut_ptr() as u64, &[1, 2, 3]).unwrap();
        assert_eq!(place, [1, 2, 3, 0]);
        let constant = "in read-only memory";
        for address in [8, u64::MAX - 1, constant.as_ptr() as u64] {
            assert_eq!(Held::of(own()).unwrap().write(address, &[1]), Err(Errno(libc::EFAULT)));
        }
    }

    #[test]
    fn what_reaches_from_a_writable_mapping_into_another_is_told_by_both() {
        let line = b"7f00dead0000-7f00dead1000 rw-p 00000000 00:00 0 ";
        assert_eq!(mapping(line), Some((0x7f00_dead_0000, 0x7f00_dead_1000, true)));
        assert_eq!(mapping(b"55d0c0a00000-55d0c0a21000 r-xp 0 fe:00 7 /bin/x y"), Some((0x55d0_c0a0_0000, 0x55d0_c0a2_1000, false)));
        assert_eq!(mapping(b""), None);
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
