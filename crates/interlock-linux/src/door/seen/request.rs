//! What an open call asks for: flags and mode as the kernel reads them, from registers or from openat2's structure.
//!
//! Left out: the object (`open`). Source: open(2), openat2(2), and the kernel's order: flags are judged before the path is read.

use super::caller::{Caller, Stop};
use super::resolve::Last;
use crate::sys::errno::{Errno, Sys};
use interlock_core::action::Verb;

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

/// An open that carries data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where a relative path starts.
    pub directory: i32,
    /// As given, NUL excluded.
    pub path: Vec<u8>,
    /// Known flags only.
    pub flags: i32,
    /// Permission bits of what is made.
    pub mode: u32,
    /// openat2's `resolve`.
    pub resolve: u64,
}

/// That an open asks for a descriptor that can carry no data, and says so by a register: earned by [`read`].
#[derive(Debug)]
pub struct PathOnly {
    call: u64,
}

impl PathOnly {
    /// The call that it was earned for.
    #[must_use]
    pub fn call(&self) -> u64 {
        self.call
    }
}

/// An open as its caller put it.
#[derive(Debug)]
pub enum Parsed {
    /// O_PATH.
    PathOnly(PathOnly),
    /// Anything else.
    Open(Request),
}

/// Reads the call.
pub fn read(caller: &Caller<'_>) -> Result<Parsed, Stop> {
    let (directory, path, how) = match i64::from(caller.number()) {
        libc::SYS_open => (libc::AT_FDCWD, 0, legacy(caller.int(1), caller.argument(2))),
        libc::SYS_creat => (libc::AT_FDCWD, 0, legacy(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, caller.argument(1))),
        libc::SYS_openat => (caller.int(0), 1, legacy(caller.int(2), caller.argument(3))),
        libc::SYS_openat2 => (caller.int(0), 1, extended(caller)?),
        _ => return Err(Errno(libc::ENOSYS).into()),
    };
    let (flags, mode, resolve) = how;
    if flags & libc::O_PATH != 0 {
        let said_by_register = i64::from(caller.number()) != libc::SYS_openat2;
        return if said_by_register { Ok(Parsed::PathOnly(PathOnly { call: caller.call().id })) } else { Err(Errno(libc::ENOSYS).into()) };
    }
    check(flags)?;
    Ok(Parsed::Open(Request { directory, path: caller.path(path)?, flags, mode, resolve }))
}

fn legacy(flags: i32, mode: u64) -> (i32, u32, u64) {
    let flags = flags & KNOWN;
    let makes = flags & (libc::O_CREAT | O_TMPFILE_BIT) != 0;
    (flags | LARGE, if makes { (mode & MODE_BITS) as u32 } else { 0 }, 0)
}

/// `struct open_how`: unknown bits, a mode without a file to make and a longer structure that is not all zero are errors.
fn extended(caller: &Caller<'_>) -> Sys<(i32, u32, u64)> {
    let size = caller.argument(3);
    if size < HOW_BYTES {
        return Err(Errno(libc::EINVAL));
    }
    if size > PAGE_BYTES {
        return Err(Errno(libc::E2BIG));
    }
    let mut how = vec![0_u8; size as usize];
    caller.read(caller.argument(2), &mut how)?;
    if how.iter().skip(HOW_BYTES as usize).any(|byte| *byte != 0) {
        return Err(Errno(libc::E2BIG));
    }
    let word = |index: usize| how.chunks_exact(8).nth(index).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes);
    extended_words(word(0), word(1), word(2))
}

fn extended_words(flags: u64, mode: u64, resolve: u64) -> Sys<(i32, u32, u64)> {
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
    Ok((known, mode as u32, resolve))
}

/// Combinations that no open takes.
fn check(flags: i32) -> Sys<()> {
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

impl Request {
    /// What a last symlink means.
    pub fn last(&self) -> Last {
        let exclusive = libc::O_CREAT | libc::O_EXCL;
        if self.flags & libc::O_NOFOLLOW != 0 || self.flags & exclusive == exclusive { Last::Keep } else { Last::Follow }
    }

    /// Whether a file without a name is asked for.
    pub fn is_unnamed(&self) -> bool {
        self.flags & O_TMPFILE_BIT != 0
    }

    /// Whether content could be changed: by writing, or by O_TRUNC even of a read-only open.
    pub fn writes(&self) -> bool {
        self.flags & libc::O_ACCMODE != libc::O_RDONLY || self.flags & libc::O_TRUNC != 0
    }

    /// What opening an existing object of this type is.
    pub fn verbs(&self, kind: u32) -> Vec<Verb> {
        let mut verbs = Vec::with_capacity(3);
        // The access mode 3 asks for both permissions and gives neither.
        if self.flags & libc::O_ACCMODE != libc::O_WRONLY {
            verbs.push(Verb::FileRead);
        }
        if self.flags & libc::O_ACCMODE != libc::O_RDONLY {
            verbs.push(Verb::FileWrite);
        }
        if self.flags & libc::O_TRUNC != 0 && kind == libc::S_IFREG {
            verbs.push(Verb::FileTruncate);
        }
        verbs
    }

    /// The verb a refusal is recorded under.
    pub fn verb(&self) -> Verb {
        if self.writes() { Verb::FileWrite } else { Verb::FileRead }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(flags: i32) -> Request {
        Request { directory: libc::AT_FDCWD, path: b"x".to_vec(), flags, mode: 0, resolve: 0 }
    }

    #[test]
    fn an_open_is_all_the_acts_it_could_become() {
        let kinds = |flags| request(flags).verbs(libc::S_IFREG);
        assert_eq!(kinds(libc::O_RDONLY), [Verb::FileRead]);
        assert_eq!(kinds(libc::O_WRONLY | libc::O_APPEND), [Verb::FileWrite]);
        assert_eq!(kinds(libc::O_RDWR), [Verb::FileRead, Verb::FileWrite]);
        assert_eq!(kinds(libc::O_ACCMODE), [Verb::FileRead, Verb::FileWrite]);
        assert_eq!(kinds(libc::O_RDONLY | libc::O_TRUNC), [Verb::FileRead, Verb::FileTruncate]);
        assert_eq!(request(libc::O_WRONLY | libc::O_TRUNC).verbs(libc::S_IFCHR), [Verb::FileWrite]);
    }

    #[test]
    fn openat2_is_strict_where_openat_is_not() {
        assert_eq!(legacy(1 << 30, 0o644), (LARGE, 0, 0));
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
