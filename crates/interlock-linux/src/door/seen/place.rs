//! A place for a name: the directory, held, and the one component in it that a call makes, moves or removes.
//!
//! INVARIANT: after the place is found, nothing but one component below a held directory is ever looked up, so no symlink and
//! no `..` can lead a later act elsewhere. What remains is that the directory itself may be moved, which [`Place::stands`] tells.

use super::caller::{Caller, Stop};
use super::ground::Ground;
use super::procfs;
use super::resolve::{self, Last, Name, Object, Path};
use super::walk::{LINKS_MAX, may_follow};
use crate::sys::credentials;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, OpenHow, Stat};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A directory and one name in it.
#[derive(Debug)]
pub struct Place {
    /// The directory, O_PATH.
    pub parent: OwnedFd,
    stat: Stat,
    directory: Vec<u8>,
    last: Vec<u8>,
    slash: bool,
}

/// What there is at a place.
#[derive(Debug)]
pub enum Found {
    /// An object: its symlink not followed.
    Object(OwnedFd, Stat),
    /// Nothing.
    Nothing,
}

/// The place that a caller's descriptor and path mean, its last component not looked at.
///
/// # Errors
/// As [`resolve::object`], for the directory.
pub fn place(caller: &Caller<'_>, start: BorrowedFd<'_>, text: &[u8]) -> Result<Place, Stop> {
    scoped(caller, start, text, 0)
}

/// The same within openat2's `resolve` flags.
pub fn scoped(caller: &Caller<'_>, start: BorrowedFd<'_>, text: &[u8], resolve: u64) -> Result<Place, Stop> {
    let (parent, last, slash) = split(text);
    // The last dot asks for the right to search the directory, as looking for the component in it natively does.
    let parent = if parent.ends_with(b"/") { [parent, b"."].concat() } else { parent.to_vec() };
    let path = Path { directory: libc::AT_FDCWD, text: &parent, last: Last::Follow, resolve };
    let object = resolve::object_from(caller, start, &path)?;
    // INVARIANT: the directory's name is read once: what is decided is what `stands` compares.
    let Name::Path(directory) = object.name else {
        return Err(Errno(libc::ENOTDIR).into());
    };
    if object.stat.kind() != libc::S_IFDIR {
        return Err(Errno(libc::ENOTDIR).into());
    }
    Ok(Place { parent: object.file, stat: object.stat, directory, last: last.to_vec(), slash })
}

/// A path's directory, its last component, and whether slashes follow it.
fn split(text: &[u8]) -> (&[u8], &[u8], bool) {
    let end = text.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let (body, slash) = (text.get(..end).unwrap_or(text), end < text.len());
    let begin = body.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let last = body.get(begin..).unwrap_or(body);
    let parent = body.get(..begin).filter(|parent| !parent.is_empty());
    match (parent, last.is_empty()) {
        (_, true) => (b"/", b"/", false),
        (Some(parent), false) => (parent, last, slash),
        (None, false) => (b".", last, slash),
    }
}

impl Place {
    /// Whether the last component is a name at all: `.`, `..` and `/` can be neither made nor removed, and the kernel says how.
    pub fn is_name(&self) -> bool {
        !matches!(self.last.as_slice(), b"." | b".." | b"/")
    }

    /// The name as the kernel would call it.
    pub fn name(&self) -> Vec<u8> {
        let directory = if self.directory == b"/" { &[][..] } else { &self.directory };
        [directory, b"/", &self.last].concat()
    }

    /// The directory's name.
    pub fn directory(&self) -> &[u8] {
        &self.directory
    }

    /// The component for a call below [`Place::parent`], a trailing slash as it was given.
    pub fn entry(&self) -> Sys<CString> {
        let slash: &[u8] = if self.slash { b"/" } else { b"" };
        files::text(&[self.last.as_slice(), slash].concat())
    }

    /// The component alone.
    pub fn component(&self) -> Sys<CString> {
        files::text(&self.last)
    }

    /// Whether both lie on one file system: a name is not moved to another (EXDEV), whatever it is.
    pub fn shares_device(&self, other: &Self) -> bool {
        self.stat.device == other.stat.device
    }

    /// Whether it is a directory of procfs.
    pub fn is_on_procfs(&self) -> Sys<bool> {
        procfs::on_procfs(self.parent.as_fd(), &self.stat)
    }

    /// Whether slashes followed the component.
    pub fn slash(&self) -> bool {
        self.slash
    }

    /// Whether the directory is still called what it was called when the place was found.
    pub fn stands(&self, ground: &Ground) -> bool {
        resolve::is_called(ground, &self.parent, &self.stat, &self.directory)
    }

    /// Whether the kernel comes to this very directory when it walks `text` from `start`, and by no magic link.
    pub fn is_reached_by(&self, start: BorrowedFd<'_>, text: &[u8]) -> bool {
        let how = OpenHow { flags: (libc::O_PATH | libc::O_DIRECTORY) as u64, mode: 0, resolve: libc::RESOLVE_NO_MAGICLINKS };
        let reached = files::text(split(text).0).and_then(|parent| files::open_how(start, &parent, how));
        reached.and_then(|directory| files::stat(directory.as_fd())).is_ok_and(|found| found.same(&self.stat))
    }

    /// What the kernel asks of whoever takes `object` away from here before it looks at types: EACCES, or EPERM where others' names stay.
    pub fn may_lose(&self, object: &Stat) -> Sys<()> {
        files::may_change_names(self.parent.as_fd())?;
        let user = credentials::user();
        let sticky = self.stat.mode & libc::S_ISVTX != 0 && ![0, object.user, self.stat.user].contains(&user);
        if sticky { Err(Errno(libc::EPERM)) } else { Ok(()) }
    }

    /// What is there now.
    pub fn look(&self) -> Sys<Found> {
        let how = OpenHow { flags: (libc::O_PATH | libc::O_NOFOLLOW) as u64, mode: 0, resolve: libc::RESOLVE_NO_MAGICLINKS };
        match files::open_how(self.parent.as_fd(), &self.component()?, how) {
            Ok(file) => files::stat(file.as_fd()).map(|stat| Found::Object(file, stat)),
            Err(Errno(libc::ENOENT)) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Whether what is there now is `before`, or nothing as before.
    pub fn holds(&self, before: Option<&Stat>) -> bool {
        let now = self.component().and_then(|name| files::stat_at(self.parent.as_fd(), &name));
        match (now, before) {
            (Ok(now), Some(before)) => now.same(before) && now.kind() == before.kind(),
            (Err(Errno(libc::ENOENT)), None) => true,
            _ => false,
        }
    }
}

/// Where O_CREAT would make a file: the place itself, or where a dangling symlink there leads. `None`: something is there.
///
/// `resolve` are openat2's flags. Within its scopes a link starts where the path did, so that they bind it too.
pub fn to_create(caller: &Caller<'_>, start: BorrowedFd<'_>, path: &Path<'_>) -> Result<Option<Place>, Stop> {
    let (mut text, mut at) = (path.text.to_vec(), files::duplicate(start)?);
    for _ in 0..LINKS_MAX {
        let place = scoped(caller, at.as_fd(), &text, path.resolve)?;
        if !place.is_name() || place.slash {
            return Err(Errno(libc::EISDIR).into());
        }
        let (file, stat) = match place.look()? {
            Found::Nothing => return Ok(Some(place)),
            Found::Object(file, stat) => (file, stat),
        };
        if stat.kind() != libc::S_IFLNK || path.last == Last::Keep || procfs::on_procfs(file.as_fd(), &stat)? {
            return Ok(None);
        }
        may_follow(&files::stat(place.parent.as_fd())?, &stat)?;
        let link = files::read_link(file.as_fd(), c"")?;
        if path.resolve == 0 {
            (text, at) = (link, place.parent);
        } else if link.first() == Some(&b'/') {
            text = link;
        } else {
            text = [split(&text).0, b"/", &link].concat();
        }
    }
    Err(Errno(libc::ELOOP).into())
}

/// The object at a place, held and named by the place.
pub fn object_at(place: &Place) -> Sys<Object> {
    match place.look()? {
        Found::Nothing => Err(Errno(libc::ENOENT)),
        Found::Object(file, stat) => Ok(Object { file, stat, name: Name::Path(place.name()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_as_the_kernel_splits_it() {
        type Case<'t> = (&'t [u8], &'t [u8], &'t [u8], bool);
        let cases: [Case<'_>; 9] = [
            (b"a", b".", b"a", false),
            (b"a/", b".", b"a", true),
            (b"/a", b"/", b"a", false),
            (b"//a//", b"//", b"a", true),
            (b"a/b/../c", b"a/b/../", b"c", false),
            (b"/", b"/", b"/", false),
            (b"///", b"/", b"/", false),
            (b"a/..", b"a/", b"..", false),
            (b".", b".", b".", false),
        ];
        for (text, parent, last, slash) in cases {
            assert_eq!(split(text), (parent, last, slash), "{}", String::from_utf8_lossy(text));
        }
    }
}
