//! What a walk keeps for the next one: each folder with what tells that its names are still the same, and the names that mattered.
//!
//! RULE: a folder is known again by device, inode number and the time of its last change (ctime, which nobody can set). A folder that changed
//! shortly before it was looked at is not kept, since a file system's clock is coarse and a later change could carry the same time.
//! Left out: what the kept names are now; that is asked at every start.
//!
//! The file lies in Interlock's own cache, which no session can reach. It begins with its digest, and one that does not hold to it is not used.

use interlock_core::digest;
use rustix::fs::{AtFlags, FileType, statat};
use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long ago a change must have been to be told from one that is still to come: the coarsest file system counts two seconds.
const SETTLED_NS: i128 = 2_500_000_000;
const BYTES_MAX: u64 = 256 << 20;
const DIGEST_BYTES: usize = 64;
const FORM: &[u8] = b"interlock walk 1\n";

/// What tells a folder from another, and from itself before a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    device: u64,
    number: u64,
    changed_ns: i128,
}

impl Mark {
    /// The mark of the folder at `path` (empty: `top` itself) within `top`; nothing when there is none.
    pub fn of(top: BorrowedFd<'_>, path: &[u8]) -> Option<Self> {
        let path: &[u8] = if path.is_empty() { b"." } else { path };
        let status = statat(top, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
            return None;
        }
        let changed_ns = i128::from(status.st_ctime) * 1_000_000_000 + i128::from(status.st_ctime_nsec);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        let settled = changed_ns + SETTLED_NS < now;
        Some(Self { device: status.st_dev, number: status.st_ino, changed_ns: if settled { changed_ns } else { 0 } })
    }

    /// Whether it tells that a folder has not changed since.
    pub fn is_settled(self) -> bool {
        self.changed_ns != 0
    }
}

/// A folder as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub name: Vec<u8>,
    pub mark: Mark,
    /// How many folders were in it.
    pub folders: usize,
    /// Names in it that mattered.
    pub names: Vec<Vec<u8>>,
}

/// The folders of a walk, level by level: those in the first folder, those in the second, and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    all: Vec<Folder>,
    /// Where the folders within each begin.
    inner: Vec<usize>,
    end: usize,
}

/// A folder that is still as it was.
pub(crate) struct Known<'a> {
    pub names: &'a [Vec<u8>],
    kept: &'a Kept,
    number: usize,
}

impl Known<'_> {
    /// The folders in it, each with its number.
    pub fn folders(&self) -> Vec<(Vec<u8>, Option<usize>)> {
        self.kept.within(self.number).map(|(number, folder)| (folder.name.clone(), Some(number))).collect()
    }
}

impl Kept {
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Each folder with its path within the first, in order.
    pub fn paths(&self) -> Vec<(Vec<u8>, &Folder)> {
        let mut found: Vec<(Vec<u8>, &Folder)> = Vec::with_capacity(self.all.len());
        found.extend(self.all.first().map(|folder| (Vec::new(), folder)));
        for number in 0..self.all.len() {
            let Some(above) = found.get(number).map(|(path, _)| path.clone()) else { break };
            found.extend(self.within(number).map(|(_, folder)| (within(&above, &folder.name), folder)));
        }
        found
    }

    /// Adds the next folder.
    pub fn push(&mut self, folder: Folder) {
        let begin = if self.all.is_empty() { 1 } else { self.end };
        self.inner.push(begin);
        self.end = begin + folder.folders;
        self.all.push(folder);
    }

    /// The folder of this number, if it still has its mark.
    pub fn known(&self, number: usize, mark: Mark) -> Option<Known<'_>> {
        let folder = self.all.get(number).filter(|folder| folder.mark == mark && mark.is_settled())?;
        Some(Known { names: &folder.names, kept: self, number })
    }

    /// The folders in another, each with its number.
    pub fn inner(&self, number: usize) -> HashMap<&[u8], usize> {
        self.within(number).map(|(number, folder)| (folder.name.as_slice(), number)).collect()
    }

    fn within(&self, number: usize) -> impl Iterator<Item = (usize, &Folder)> {
        let begin = self.inner.get(number).copied().unwrap_or(0);
        let count = self.all.get(number).map_or(0, |folder| folder.folders);
        (begin..).zip(self.all.get(begin..begin.saturating_add(count)).unwrap_or_default())
    }

    /// Reads what was kept; nothing when it is not there, is another user's, or is not whole.
    pub fn read(path: &Path) -> Self {
        Self::from_file(path).unwrap_or_default()
    }

    fn from_file(path: &Path) -> Option<Self> {
        let status = fs::symlink_metadata(path).ok()?;
        let is_own = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == status.uid());
        if !status.is_file() || !is_own || status.mode() & 0o077 != 0 || status.len() > BYTES_MAX {
            return None;
        }
        let data = fs::read(path).ok()?;
        let (own, body) = data.split_at_checked(DIGEST_BYTES)?;
        if digest::hex(body).as_bytes() != own {
            return None;
        }
        Self::parse(body.strip_prefix(FORM)?)
    }

    /// Keeps it for the next walk, written beside and renamed over. What cannot be kept is walked again.
    pub fn write(&self, path: &Path) {
        let body = [FORM, &self.text()].concat();
        let beside = path.with_extension(format!("{}", std::process::id()));
        let write = || -> std::io::Result<()> {
            make_room(path)?;
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(digest::hex(&body).as_bytes())?;
            file.write_all(&body)?;
            fs::rename(&beside, path)
        };
        if write().is_err() {
            let _left = fs::remove_file(&beside);
        }
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.all.len() * 64);
        for folder in &self.all {
            put(&mut text, &folder.name);
            text.extend_from_slice(&folder.mark.device.to_le_bytes());
            text.extend_from_slice(&folder.mark.number.to_le_bytes());
            text.extend_from_slice(&folder.mark.changed_ns.to_le_bytes());
            text.extend_from_slice(&(folder.folders as u32).to_le_bytes());
            text.extend_from_slice(&(folder.names.len() as u32).to_le_bytes());
            folder.names.iter().for_each(|name| put(&mut text, name));
        }
        text
    }

    fn parse(mut text: &[u8]) -> Option<Self> {
        let mut kept = Self::default();
        while !text.is_empty() {
            let name = taken(&mut text)?;
            let (device, number) = (u64::from_le_bytes(bytes(&mut text)?), u64::from_le_bytes(bytes(&mut text)?));
            let mark = Mark { device, number, changed_ns: i128::from_le_bytes(bytes(&mut text)?) };
            let folders = u32::from_le_bytes(bytes(&mut text)?) as usize;
            let count = u32::from_le_bytes(bytes(&mut text)?);
            let names = (0..count).map(|_| taken(&mut text)).collect::<Option<Vec<_>>>()?;
            kept.push(Folder { name, mark, folders, names });
        }
        Some(kept)
    }
}

/// Entries of one folder: one for each workspace and each policy that looks for other names in it.
const ENTRIES_MAX: usize = 64;

/// Forgets all walks when there are too many, as compiled policies are forgotten.
fn make_room(path: &Path) -> std::io::Result<()> {
    let Some(folder) = path.parent().filter(|_| !path.exists()) else { return Ok(()) };
    let walks = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let walks: Vec<_> = walks.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"walk-"))).collect();
    if walks.len() >= ENTRIES_MAX {
        walks.iter().for_each(|walk| drop(fs::remove_file(walk)));
    }
    Ok(())
}

/// The path of a name in a folder, both within the first.
pub(crate) fn within(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn put(text: &mut Vec<u8>, name: &[u8]) {
    text.extend_from_slice(&(name.len() as u32).to_le_bytes());
    text.extend_from_slice(name);
}

fn bytes<const N: usize>(text: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = text.split_first_chunk::<N>()?;
    *text = rest;
    Some(*first)
}

fn taken(text: &mut &[u8]) -> Option<Vec<u8>> {
    let length = u32::from_le_bytes(bytes(text)?) as usize;
    let (name, rest) = text.split_at_checked(length)?;
    *text = rest;
    Some(name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else() {
        let mark = |number| Mark { device: 1, number, changed_ns: 7 };
        let mut kept = Kept::default();
        kept.push(Folder { name: Vec::new(), mark: mark(1), folders: 2, names: vec![b".env".to_vec()] });
        kept.push(Folder { name: b"a".to_vec(), mark: mark(2), folders: 0, names: Vec::new() });
        kept.push(Folder { name: b"b\n".to_vec(), mark: mark(3), folders: 1, names: Vec::new() });
        kept.push(Folder { name: b"c".to_vec(), mark: mark(4), folders: 0, names: Vec::new() });
        let path = std::env::temp_dir().join(format!("interlock-kept-{}", std::process::id()));
        kept.write(&path);
        assert_eq!(Kept::read(&path), kept);
        assert_eq!(kept.inner(0).get(b"b\n".as_slice()).copied(), Some(2));
        assert_eq!(kept.inner(2).get(b"c".as_slice()).copied(), Some(3));
        assert!(kept.known(2, mark(3)).is_some() && kept.known(2, mark(4)).is_none());
        let mut data = fs::read(&path).unwrap_or_default();
        let whose = |user| assert!(std::os::unix::fs::chown(&path, Some(user), None).is_ok());
        if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            whose(65_534);
            assert!(Kept::read(&path).is_empty(), "another user's");
            whose(0);
        }
        assert_eq!(Kept::read(&path), kept);
        data.last_mut().into_iter().for_each(|byte| *byte ^= 1);
        assert!(fs::write(&path, &data).is_ok());
        assert!(Kept::read(&path).is_empty());
        assert!(fs::remove_file(&path).is_ok());
    }
}
