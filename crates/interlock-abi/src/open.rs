//! What an open call asks for: flags and mode as the kernel reads them, from registers or from openat2's structure.
//!
//! Left out: path and object. Source: open(2), openat2(2), and the kernel's order: flags are judged before the path is read.

use crate::errno::{Errno, Sys};
use crate::field::word;

const O_TMPFILE_BIT: i32 = 0o20_000_000;
const FASYNC: i32 = 0o20_000;
const LARGE: i32 = 0o100_000;
const SYNC_BIT: i32 = 0o4_000_000;
const MODE_BITS: u64 = 0o7777;
/// The first size of `struct open_how`.
const HOW_BYTES: u64 = 24;
const PAGE_BYTES: u64 = 4096;

/// Flags the kernel knows; the older calls ignore all others.
const KNOWN: i32 = libc::O_ACCMODE
    | libc::O_CREAT
    | libc::O_EXCL
    | libc::O_NOCTTY
    | libc::O_TRUNC
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | SYNC_BIT
    | libc::O_DSYNC
    | FASYNC
    | libc::O_DIRECT
    | LARGE
    | libc::O_DIRECTORY
    | libc::O_NOFOLLOW
    | libc::O_NOATIME
    | libc::O_CLOEXEC
    | libc::O_PATH
    | O_TMPFILE_BIT;

const RESOLVE_KNOWN: u64 = libc::RESOLVE_NO_XDEV
    | libc::RESOLVE_NO_MAGICLINKS
    | libc::RESOLVE_NO_SYMLINKS
    | libc::RESOLVE_BENEATH
    | libc::RESOLVE_IN_ROOT
    | libc::RESOLVE_CACHED;

/// How something is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    /// Known flags only.
    pub flags: i32,
    /// Permission bits of what is made.
    pub mode: u32,
    /// openat2's `resolve`.
    pub resolve: u64,
}

/// As open(2), creat(2) and openat(2) say it in registers.
#[must_use]
pub fn legacy(flags: i32, mode: u64) -> How {
    let flags = flags & KNOWN;
    let makes = flags & (libc::O_CREAT | O_TMPFILE_BIT) != 0;
    How { flags: flags | LARGE, mode: if makes { (mode & MODE_BITS) as u32 } else { 0 }, resolve: 0 }
}

/// How many bytes of a `struct open_how` of this size are read.
///
/// # Errors
/// EINVAL for fewer than its first version had, E2BIG for more than a page.
pub fn how_bytes(size: u64) -> Sys<usize> {
    match size {
        0..HOW_BYTES => Err(Errno(libc::EINVAL)),
        HOW_BYTES..=PAGE_BYTES => Ok(size as usize),
        _ => Err(Errno(libc::E2BIG)),
    }
}

/// `struct open_how`: unknown bits, a mode without a file to make and a longer structure that is not all zero are errors.
///
/// # Errors
/// E2BIG, EINVAL, EAGAIN as openat2(2).
pub fn extended(how: &[u8]) -> Sys<How> {
    if how.iter().skip(HOW_BYTES as usize).any(|byte| *byte != 0) {
        return Err(Errno(libc::E2BIG));
    }
    let [Some(flags), Some(mode), Some(resolve)] = [0, 1, 2].map(|number| word(how, number)) else { return Err(Errno(libc::EINVAL)) };
    extended_words(flags, mode, resolve)
}

fn extended_words(flags: u64, mode: u64, resolve: u64) -> Sys<How> {
    const SCOPES: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT;
    const CHANGES: i32 = libc::O_TRUNC | libc::O_CREAT | O_TMPFILE_BIT;
    let known = i32::try_from(flags).ok().filter(|flags| flags & !KNOWN == 0).ok_or(Errno(libc::EINVAL))?;
    let makes = known & (libc::O_CREAT | O_TMPFILE_BIT) != 0;
    if resolve & !RESOLVE_KNOWN != 0 || resolve & SCOPES == SCOPES || mode & !MODE_BITS != 0 || (mode != 0 && !makes) {
        return Err(Errno(libc::EINVAL));
    }
    if resolve & libc::RESOLVE_CACHED != 0 && known & CHANGES != 0 {
        return Err(Errno(libc::EAGAIN));
    }
    Ok(How { flags: known, mode: mode as u32, resolve })
}

impl How {
    /// Refuses combinations that no open takes.
    ///
    /// # Errors
    /// EINVAL.
    pub fn check(self) -> Sys<()> {
        let flags = self.flags;
        if flags & O_TMPFILE_BIT != 0 {
            let writes = matches!(flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR | libc::O_ACCMODE);
            let whole = flags & (libc::O_TMPFILE | libc::O_CREAT) == libc::O_TMPFILE;
            return if whole && writes { Ok(()) } else { Err(Errno(libc::EINVAL)) };
        }
        if flags & libc::O_CREAT != 0 && flags & libc::O_DIRECTORY != 0 {
            return Err(Errno(libc::EINVAL));
        }
        Ok(())
    }

    /// Whether a last symlink is followed.
    #[must_use]
    pub fn follows(self) -> bool {
        let exclusive = libc::O_CREAT | libc::O_EXCL;
        self.flags & libc::O_NOFOLLOW == 0 && self.flags & exclusive != exclusive
    }

    /// Whether a file without a name is asked for.
    #[must_use]
    pub fn is_unnamed(self) -> bool {
        self.flags & O_TMPFILE_BIT != 0
    }

    /// Whether content could be changed: by writing, or by O_TRUNC even of a read-only open.
    #[must_use]
    pub fn writes(self) -> bool {
        self.flags & libc::O_ACCMODE != libc::O_RDONLY || self.flags & libc::O_TRUNC != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(flags: i32) -> Sys<()> {
        How { flags, mode: 0, resolve: 0 }.check()
    }

    #[test]
    fn openat2_is_strict_where_openat_is_not() {
        assert_eq!(legacy(1 << 30, 0o644), How { flags: LARGE, mode: 0, resolve: 0 });
        assert_eq!(extended_words(1 << 30, 0, 0), Err(Errno(libc::EINVAL)));
        assert_eq!(extended_words(1 << 40, 0, 0), Err(Errno(libc::EINVAL)));
        assert_eq!(extended_words(0, 0o644, 0), Err(Errno(libc::EINVAL)));
        assert_eq!(extended_words(libc::O_CREAT as u64, 0o10644, 0), Err(Errno(libc::EINVAL)));
        assert_eq!(extended_words(0, 0, libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT), Err(Errno(libc::EINVAL)));
        assert_eq!(extended_words(0, 0, 1 << 20), Err(Errno(libc::EINVAL)));
        assert_eq!(extended_words(libc::O_CREAT as u64, 0o644, libc::RESOLVE_CACHED), Err(Errno(libc::EAGAIN)));
    }

    #[test]
    fn an_unnamed_file_needs_a_directory_and_writing() {
        assert_eq!(check(libc::O_TMPFILE | libc::O_RDWR), Ok(()));
        assert_eq!(check(libc::O_TMPFILE), Err(Errno(libc::EINVAL)));
        assert_eq!(check(O_TMPFILE_BIT | libc::O_RDWR), Err(Errno(libc::EINVAL)));
        assert_eq!(check(libc::O_CREAT | libc::O_DIRECTORY), Err(Errno(libc::EINVAL)));
    }
}
