//! Everything below a directory, by name: what a rename of it would bring into being and take away.
//!
//! Left out: what the names mean to a rule (`rename`).

use crate::door::act::inode;
use crate::door::seen::caller::{Reached, Stop};
use crate::door::seen::made::Made;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use interlock_core::action::Inode;
use interlock_core::facts::Origin;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirEntryExt as _;

/// Entries below one renamed directory; more is a denial.
pub const ENTRIES_MAX: usize = 65_536;
/// Bytes of their paths and of what their links say; more is a denial. Deep trees of long names would fill the machine's memory otherwise.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Directories within directories below it; more is a denial.
const DEPTH_MAX: usize = 256;

/// One name below.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Relative to the directory.
    pub path: Vec<u8>,
    /// What it names.
    pub inode: Inode,
    /// Of a symlink: its content.
    pub link: Option<Vec<u8>>,
    /// Where it comes from.
    pub origin: Origin,
}

/// All names below `directory`, sorted.
///
/// # Errors
/// A refusal in the name of `name`: too many, too deep, or unreadable. What was not seen cannot be decided.
pub fn entries(directory: BorrowedFd<'_>, name: &[u8], made: &Made) -> Result<Vec<Entry>, Stop> {
    let mut found = Found { entries: Vec::new(), room: BYTES_MAX, made };
    let walk = files::open_at(directory, c".", libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0)
        .and_then(|top| collect(&top, &[], 0, &mut found));
    match walk {
        Ok(()) => {
            found.entries.sort();
            Ok(found.entries)
        }
        Err(_unseen) => Err(too_much(name)),
    }
}

/// A record's name for what could not be walked.
fn too_much(name: &[u8]) -> Stop {
    let reached = Reached::Path(name.to_vec());
    Stop::Refused { reached, because: "more lies below it than is decided at once, or it cannot be read", errno: libc::EACCES }
}

/// What was found until now, and how many bytes may follow.
struct Found<'m> {
    entries: Vec<Entry>,
    room: usize,
    made: &'m Made,
}

impl Found<'_> {
    fn take(&mut self, bytes: usize) -> Sys<()> {
        self.room = self.room.checked_sub(bytes).filter(|_| self.entries.len() < ENTRIES_MAX).ok_or(Errno(libc::E2BIG))?;
        Ok(())
    }
}

fn collect(directory: &OwnedFd, prefix: &[u8], depth: usize, found: &mut Found<'_>) -> Sys<()> {
    if depth > DEPTH_MAX {
        return Err(Errno(libc::ELOOP));
    }
    let device = inode(&files::stat(directory.as_fd())?).device;
    for entry in std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))? {
        let entry = entry?;
        let path = [prefix, entry.file_name().as_bytes()].concat();
        found.take(path.len())?;
        if entry.file_type()?.is_dir() {
            let name = files::text(entry.file_name().as_bytes())?;
            let below = files::open_at(directory.as_fd(), &name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0);
            match below {
                Ok(below) => collect(&below, &[path.as_slice(), b"/"].concat(), depth + 1, found)?,
                // Gone meanwhile: then it will not be moved.
                Err(Errno(libc::ENOENT)) => continue,
                Err(error) => return Err(error),
            }
        }
        let link = if entry.file_type()?.is_symlink() { link(directory, &entry)? } else { None };
        found.take(link.as_ref().map_or(0, Vec::len))?;
        let inode = Inode { device, number: entry.ino() };
        let origin = found.made.origin_at(inode, directory.as_fd(), &files::text(entry.file_name().as_bytes())?);
        found.entries.push(Entry { path, inode, link, origin });
    }
    Ok(())
}

fn link(directory: &OwnedFd, entry: &std::fs::DirEntry) -> Sys<Option<Vec<u8>>> {
    match files::read_link(directory.as_fd(), &files::text(entry.file_name().as_bytes())?) {
        Ok(content) => Ok(Some(content)),
        Err(Errno(libc::ENOENT)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn all_names_below_are_seen_and_no_symlink_is_followed() {
        let top = std::env::temp_dir().join(format!("interlock-below-{}", std::process::id()));
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/b/c"), "").unwrap();
        std::os::unix::fs::symlink("/", top.join("link")).unwrap();
        let seen = entries(File::open(&top).unwrap().as_fd(), b"/x", &Made::default()).unwrap();
        let names: Vec<&[u8]> = seen.iter().map(|entry| entry.path.as_slice()).collect();
        assert_eq!(names, [b"a".as_slice(), b"a/b", b"a/b/c", b"link"]);
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn long_paths_are_no_more_than_their_limit() {
        let top = std::env::temp_dir().join(format!("interlock-below-long-{}", std::process::id()));
        let mut deep = top.clone();
        deep.extend(std::iter::repeat_n("n".repeat(250), 12));
        std::fs::create_dir_all(&deep).unwrap();
        let fits = BYTES_MAX / (12 * 251 + 4);
        let make = |number| std::fs::write(deep.join(format!("{number:04}")), "").unwrap();
        (0..fits / 2).for_each(make);
        assert!(entries(File::open(&top).unwrap().as_fd(), b"/x", &Made::default()).is_ok());
        (fits / 2..fits + 1).for_each(make);
        assert!(entries(File::open(&top).unwrap().as_fd(), b"/x", &Made::default()).is_err());
        std::fs::remove_dir_all(&top).unwrap();
    }
}
