//! From a path a caller gave to the object it means, and to the name the kernel has for that object.
//!
//! The object is held by an O_PATH descriptor before it is named, and every later act is upon that descriptor: no name is
//! resolved twice. Paths that procfs makes relative to whoever looks (`/proc/self`, `/dev/fd`) go through `walk`.
//! Left out: what is decided, and names that do not exist yet (`place`).

use super::caller::{Caller, Reached, Stop};
use super::ground::Ground;
pub use super::walk::Last;
use super::{procfs, walk};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, OpenHow, Stat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the kernel calls an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// An absolute path. Of a deleted directory, which is empty for good: the one it had.
    Path(Vec<u8>),
    /// The path by which it was reached, and which it has no more: a record can tell it, and no rule can be held against it.
    Lost(Vec<u8>),
    /// A pipe, a socket, an anonymous memory file: it has no name, and whoever could reach it holds it already.
    Held(Vec<u8>),
}

impl Name {
    /// The bytes, for a record.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Path(name) | Self::Lost(name) | Self::Held(name) => name,
        }
    }
}

/// An object, held.
#[derive(Debug)]
pub struct Object {
    /// O_PATH.
    pub file: OwnedFd,
    /// What it is.
    pub stat: Stat,
    /// What it is called.
    pub name: Name,
}

/// What a caller's descriptor and path mean.
pub struct Path<'p> {
    /// The directory a relative path starts at; AT_FDCWD for the working directory.
    pub directory: i32,
    /// The path as given, NUL excluded.
    pub text: &'p [u8],
    /// What a last symlink means.
    pub last: Last,
    /// openat2's `resolve` flags; 0 for the older calls.
    pub resolve: u64,
}

/// The object that `path` means to `caller`, its name and what it is.
///
/// # Errors
/// The kernel's errno for what cannot be reached; a refusal for processes outside the session and objects without a
/// reachable name; [`Stop::Gone`] when the caller no longer waits.
pub fn object(caller: &Caller<'_>, path: &Path<'_>) -> Result<Object, Stop> {
    let start = start(caller, path)?;
    object_from(caller, start.as_ref().map_or(caller.ground.root.as_fd(), AsFd::as_fd), path)
}

/// Where a path starts; `None` is the root. Confirms that all read of the caller until now was its own.
pub fn start(caller: &Caller<'_>, path: &Path<'_>) -> Result<Option<OwnedFd>, Stop> {
    if path.text.is_empty() {
        return Err(Errno(libc::ENOENT).into());
    }
    let scoped = path.resolve & (libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT) != 0;
    let start = if path.text.first() == Some(&b'/') && !scoped { None } else { Some(caller.directory(path.directory)?) };
    caller.confirm()?;
    Ok(start)
}

/// The same, held.
pub fn held_start(caller: &Caller<'_>, directory: i32, text: &[u8]) -> Result<OwnedFd, Stop> {
    let path = Path { directory, text, last: Last::Keep, resolve: 0 };
    match start(caller, &path)? {
        Some(start) => Ok(start),
        None => Ok(files::duplicate(caller.ground.root.as_fd())?),
    }
}

/// The object that `path` means from a directory that is held already.
///
/// # Errors
/// As [`object`].
pub fn object_from(caller: &Caller<'_>, start: BorrowedFd<'_>, path: &Path<'_>) -> Result<Object, Stop> {
    if let Some(object) = plain(caller, path)? {
        return Ok(object);
    }
    match quick(start, path) {
        Ok(file) => {
            let stat = files::stat(file.as_fd())?;
            match procfs::standing(caller, &file, &stat)? {
                procfs::Standing::Elsewhere | procfs::Standing::Admitted => named(caller.ground, file, stat),
                procfs::Standing::Ours => slow(caller, start, path),
            }
        }
        Err(Errno(libc::ELOOP)) => slow(caller, start, path),
        Err(Errno(libc::ENOENT | libc::EACCES | libc::ENOTDIR | libc::EPERM)) if path.resolve == 0 && may_mean_the_caller(start, path) => {
            slow(caller, start, path)
        }
        Err(error) => Err(error.into()),
    }
}

/// The object behind an absolute path that says its name outright: no symlink, no dot and no doubled slash on the way, so the kernel would
/// call what it reached the same, and need not be asked (which costs more than reaching it). `None`: find it and its name the long way.
///
/// A directory that is moved during the walk can make the name one it had a moment before; what policy keeps from being read is not moved.
fn plain(caller: &Caller<'_>, path: &Path<'_>) -> Result<Option<Object>, Stop> {
    let Some(name) = says_its_name(path.text).filter(|_| path.resolve == 0) else { return Ok(None) };
    let keep = if path.last == Last::Keep { libc::O_NOFOLLOW } else { 0 };
    let resolve = libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS;
    let how = OpenHow { flags: (libc::O_PATH | keep) as u64, mode: 0, resolve };
    let Ok(file) = files::open_how(caller.ground.root.as_fd(), &files::text(path.text)?, how) else { return Ok(None) };
    let stat = files::stat(file.as_fd())?;
    // Only there is a name what was looked up, byte for byte; procfs is not among them.
    if !caller.ground.spelled_exactly.contains(&stat.device) {
        return Ok(None);
    }
    Ok(Some(Object { file, stat, name: Name::Path(name.to_vec()) }))
}

/// The name an absolute path says, if it needs no resolving: `/a/b`, or `/a/b/.` for a directory.
fn says_its_name(text: &[u8]) -> Option<&[u8]> {
    let name = text.strip_suffix(b"/.").unwrap_or(text);
    let plain = |component: &[u8]| !matches!(component, b"" | b"." | b"..");
    name.strip_prefix(b"/")?.split(|byte| *byte == b'/').all(plain).then_some(name)
}

/// The kernel's own resolution, which follows no magic link: they would mean the supervisor, or lead out of the session.
fn quick(start: BorrowedFd<'_>, path: &Path<'_>) -> Sys<OwnedFd> {
    let keep = if path.last == Last::Keep { libc::O_NOFOLLOW } else { 0 };
    let how = OpenHow { flags: (libc::O_PATH | keep) as u64, mode: 0, resolve: path.resolve | libc::RESOLVE_NO_MAGICLINKS };
    // RESOLVE_CACHED may always answer EAGAIN, and callers must be ready for it (openat2(2)).
    if path.resolve & libc::RESOLVE_CACHED != 0 {
        return Err(Errno(libc::EAGAIN));
    }
    files::open_how(start, &files::text(path.text)?, how)
}

fn slow(caller: &Caller<'_>, start: BorrowedFd<'_>, path: &Path<'_>) -> Result<Object, Stop> {
    const NO_MAGIC: u64 = libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT;
    if path.resolve & NO_MAGIC != 0 {
        return Err(Errno(libc::ELOOP).into());
    }
    if path.resolve & libc::RESOLVE_NO_XDEV != 0 {
        return Err(Errno(libc::EXDEV).into());
    }
    let file = walk::to_object(caller, start, path.text, path.last)?;
    let stat = files::stat(file.as_fd())?;
    named(caller.ground, file, stat)
}

/// Whether an errno could come from the supervisor having been taken for the caller on the way (`self`, `fd`, `stdin`, …): by the path's own
/// words, or by a link on the way, which may say anything.
fn may_mean_the_caller(start: BorrowedFd<'_>, path: &Path<'_>) -> bool {
    says_itself(path.text) || leads_by_links(start, path)
}

fn says_itself(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b"fd")
        || text.windows(3).any(|three| three == b"std" || three == b"net")
        || text.windows(4).any(|four| four == b"self" || four == b"proc")
}

/// Whether the kernel comes upon a link before whatever else stops it.
fn leads_by_links(start: BorrowedFd<'_>, path: &Path<'_>) -> bool {
    let keep = if path.last == Last::Keep { libc::O_NOFOLLOW } else { 0 };
    let how = OpenHow { flags: (libc::O_PATH | keep) as u64, mode: 0, resolve: libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS };
    files::text(path.text).and_then(|text| files::open_how(start, &text, how)).is_err_and(|error| error == Errno(libc::ELOOP))
}

/// Names what is held.
///
/// # Errors
/// A refusal when it has no name under the session's root.
pub fn named(ground: &Ground, file: OwnedFd, stat: Stat) -> Result<Object, Stop> {
    let name = name(ground, &file, &stat)?;
    Ok(Object { file, stat, name })
}

/// Whether what is held is called `path` now.
pub fn is_called(ground: &Ground, file: &OwnedFd, stat: &Stat, path: &[u8]) -> bool {
    matches!(name(ground, file, stat), Ok(Name::Path(name)) if name == path)
}

/// Whether an object is still called what it was called.
pub fn still_named(ground: &Ground, object: &Object) -> bool {
    name(ground, &object.file, &object.stat).is_ok_and(|name| name == object.name)
}

const DELETED: &[u8] = b" (deleted)";

fn name(ground: &Ground, file: &OwnedFd, stat: &Stat) -> Result<Name, Stop> {
    let raw = ground.name_of(file.as_fd())?;
    if stat.device == ground.memory_device && stat.links == 0 {
        return Ok(Name::Held(raw));
    }
    if raw.first() != Some(&b'/') {
        return unnamed(raw);
    }
    match raw.strip_suffix(DELETED) {
        Some(_) if bears(ground, &raw, stat) => Ok(Name::Path(raw)),
        // A directory has one name: while it counts one it is called so, though nobody may look at it there.
        Some(_) if stat.kind() == libc::S_IFDIR && stat.links > 0 => Ok(Name::Path(raw)),
        Some(before) if stat.kind() == libc::S_IFDIR => Ok(Name::Path(before.to_vec())),
        Some(before) => Ok(Name::Lost(before.to_vec())),
        None => Ok(Name::Path(raw)),
    }
}

/// `pipe:[7]`, `socket:[7]`, `anon_inode:…`, `net:[7]`: the kernel's names for what no path leads to.
fn unnamed(raw: Vec<u8>) -> Result<Name, Stop> {
    let kernel_made = [b"pipe:".as_slice(), b"socket:", b"anon_inode:"].iter().any(|kind| raw.starts_with(kind)) || raw.ends_with(b"]");
    if kernel_made && !raw.starts_with(b"(") {
        return Ok(Name::Held(raw));
    }
    Err(Stop::Refused { reached: Reached::Path(raw), because: "it has no name that rules could speak of", errno: libc::EACCES })
}

/// Whether a file that is really called `… (deleted)` bears this name: the kernel marks what is deleted the same way.
fn bears(ground: &Ground, name: &[u8], stat: &Stat) -> bool {
    let how = OpenHow {
        flags: (libc::O_PATH | libc::O_NOFOLLOW) as u64,
        mode: 0,
        resolve: libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS,
    };
    let found = files::text(name).and_then(|name| files::open_how(ground.root.as_fd(), &name, how));
    found.and_then(|file| files::stat(file.as_fd())).is_ok_and(|found| found.same(stat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_without_detours_says_its_name() {
        let cases: [(&[u8], Option<&[u8]>); 10] = [
            (b"/a/b", Some(b"/a/b")),
            (b"/a/b/.", Some(b"/a/b")),
            (b"/a/...", Some(b"/a/...")),
            (b"/", None),
            (b"/.", None),
            (b"a/b", None),
            (b"/a//b", None),
            (b"/a/./b", None),
            (b"/a/b/", None),
            (b"/a/../b", None),
        ];
        for (text, name) in cases {
            assert_eq!(says_its_name(text), name, "{}", String::from_utf8_lossy(text));
        }
    }
}
