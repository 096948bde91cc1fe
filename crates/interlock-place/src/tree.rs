//! One walk of the workspace for the names that rules keep, however deep: the links at them or on the way to them, and files that have other
//! names besides.
//!
//! Folders that have not changed since an earlier walk are not read again (`kept`); each level is shared among a few threads. Links are not
//! followed. Left out: what rules make of what is found (`through`).

use crate::kept::{Folder, Kept, Mark, within};
use crate::wanted::{States, Wanted};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Names in the folders of one walk, and how long it may take. What lies beyond is said of each rule (`through`).
const NAMES_MAX: usize = 2_000_000;
const TIME_MAX: Duration = Duration::from_secs(10);
/// Threads of one walk, and how many folders are worth one.
const THREADS_MAX: usize = 4;
const FOLDERS_EACH: usize = 256;

/// What a walk found. Paths are absolute.
#[derive(Default)]
pub(crate) struct Found {
    /// Links at a name that a rule keeps or that leads to one.
    pub links: Vec<Vec<u8>>,
    /// Files with other names, each with the patterns that match it.
    pub files: Vec<(Vec<u8>, Metadata, Vec<u32>)>,
    /// Why not everything was seen.
    pub short: Option<String>,
    /// The folders, for the next walk; nothing where it knows them already, or what was not walked to its end.
    pub kept: Option<Kept>,
}

/// One walk.
pub(crate) struct Walk<'a> {
    wanted: &'a Wanted,
    /// The folder that is walked: absolute, without links; where it is on this machine; and held.
    top: &'a [u8],
    real: PathBuf,
    held: OwnedFd,
    names_max: usize,
    began: Instant,
}

/// A folder to be looked at.
struct Job {
    /// Within the top.
    path: Vec<u8>,
    states: States,
    /// Its number in what was kept, if it was there.
    known: Option<usize>,
    name: Vec<u8>,
}

/// A folder looked at; empty when there is nothing to be seen.
#[derive(Default)]
struct Seen {
    mark: Mark,
    folders: Vec<(Vec<u8>, Option<usize>)>,
    names: Vec<Vec<u8>>,
    count: usize,
}

impl<'a> Walk<'a> {
    /// Begins to walk `top` below `root`.
    pub fn of(wanted: &'a Wanted, root: &Path, top: &'a [u8]) -> std::io::Result<Self> {
        let real = real(root, top);
        let held = fs::File::open(&real)?.into();
        Ok(Self { wanted, top, real, held, names_max: NAMES_MAX, began: Instant::now() })
    }

    /// The folder itself.
    pub fn top(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }

    /// The same with room for fewer names.
    pub fn at_most(self, names_max: usize) -> Self {
        Self { names_max, ..self }
    }

    /// Walks. `before` is what the last walk kept, and `marks` what its folders are like now.
    pub fn found(&self, before: &Kept, marks: &[Mark]) -> Found {
        let known = before.paths();
        let is_same = |((_, folder), mark): (&(Vec<u8>, &Folder), &Mark)| folder.mark == *mark && mark.is_settled();
        if !known.is_empty() && known.len() <= self.names_max && known.len() == marks.len() && known.iter().zip(marks).all(is_same) {
            return self.known(&known);
        }
        self.walked(before, marks)
    }

    /// Everything is as it was: only the names that mattered are looked at.
    fn known(&self, folders: &[(Vec<u8>, &Folder)]) -> Found {
        let mut found = Found::default();
        for (path, folder) in folders.iter().filter(|(_, folder)| !folder.names.is_empty()) {
            self.take(path, &self.wanted.at(&self.absolute(path)), &folder.names, &mut found);
        }
        found
    }

    fn walked(&self, before: &Kept, marks: &[Mark]) -> Found {
        let (mut found, mut kept, mut count) = (Found::default(), Kept::default(), 0);
        let known = if before.is_empty() { None } else { Some(0) };
        let mut level = vec![Job { path: Vec::new(), states: self.wanted.at(self.top), known, name: Vec::new() }];
        while !level.is_empty() {
            let mut below = Vec::new();
            for (job, seen) in level.iter().zip(shared(&level, |job| self.look(job, before, marks))) {
                let seen = seen.unwrap_or_else(|reason| {
                    found.short.get_or_insert(reason);
                    Seen::default()
                });
                count += seen.count;
                self.take(&job.path, &job.states, &seen.names, &mut found);
                kept.push(Folder { name: job.name.clone(), mark: seen.mark, folders: seen.folders.len(), names: seen.names });
                let inner = |(name, known): (Vec<u8>, Option<usize>)| {
                    let (path, states) = (within(&job.path, &name), self.wanted.step(&job.states, &name));
                    Job { path, states, known, name }
                };
                below.extend(seen.folders.into_iter().map(inner));
            }
            if count > self.names_max || self.began.elapsed() > TIME_MAX {
                let limits = format!("{} names, {} s", self.names_max, TIME_MAX.as_secs());
                return Found { short: Some(format!("more lies in the workspace than is looked through ({limits})")), ..found };
            }
            level = below;
        }
        Found { kept: Some(kept), ..found }
    }

    /// What there is in a folder; empty when it is gone, or the session cannot look at it either. The error says what was not seen.
    fn look(&self, job: &Job, before: &Kept, marks: &[Mark]) -> Result<Seen, String> {
        let asked = || Mark::of(self.held.as_fd(), &job.path);
        let Some(mark) = job.known.and_then(|known| marks.get(known)).copied().or_else(asked) else { return Ok(Seen::default()) };
        if let Some(known) = job.known.and_then(|known| before.known(known, mark)) {
            let (names, folders) = (known.names.to_vec(), known.folders());
            return Ok(Seen { mark, count: names.len() + folders.len(), folders, names });
        }
        let real = self.real.join(OsStr::from_bytes(&job.path));
        match self.read(&real, job, before) {
            Ok(seen) => Ok(Seen { mark, ..seen }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Seen::default()),
            // A folder that cannot be searched hides nothing that the session could reach.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && fs::symlink_metadata(real.join(".")).is_err() => {
                Ok(Seen::default())
            }
            Err(_) => Err(format!("the folder `{}` cannot be read", String::from_utf8_lossy(&self.absolute(&job.path)))),
        }
    }

    fn read(&self, real: &Path, job: &Job, before: &Kept) -> std::io::Result<Seen> {
        let mut seen = Seen::default();
        let inner = job.known.map(|known| before.inner(known)).unwrap_or_default();
        for entry in fs::read_dir(real)? {
            let entry = entry?;
            seen.count += 1;
            let (kind, name) = (entry.file_type()?, entry.file_name().into_vec());
            if kind.is_dir() {
                let known = inner.get(name.as_slice()).copied();
                seen.folders.push((name, known));
                continue;
            }
            let states = self.wanted.step(&job.states, &name);
            if (kind.is_symlink() && !states.is_empty()) || (kind.is_file() && self.wanted.matched(&states).next().is_some()) {
                seen.names.push(name);
            }
        }
        Ok(seen)
    }

    /// Takes the names of a folder that matter, as they are now.
    fn take(&self, folder: &[u8], states: &States, names: &[Vec<u8>], found: &mut Found) {
        for name in names {
            let path = within(folder, name);
            let Ok(status) = fs::symlink_metadata(self.real.join(OsStr::from_bytes(&path))) else { continue };
            if status.is_symlink() {
                found.links.push(self.absolute(&path));
            } else if status.is_file() && status.nlink() > 1 {
                let patterns = self.wanted.matched(&self.wanted.step(states, name)).collect();
                found.files.push((self.absolute(&path), status, patterns));
            }
        }
    }

    fn absolute(&self, path: &[u8]) -> Vec<u8> {
        let top = if self.top == b"/" { b"" } else { self.top };
        if path.is_empty() { self.top.to_vec() } else { [top, b"/", path].concat() }
    }
}

/// Where an absolute path lies on this machine.
pub(crate) fn real(root: &Path, path: &[u8]) -> PathBuf {
    let path = Path::new(OsStr::from_bytes(path));
    path.strip_prefix("/").map_or_else(|_| path.to_path_buf(), |below| root.join(below))
}

/// What the folders of an earlier walk of `top` are like now, in its order.
pub(crate) fn marks(top: BorrowedFd<'_>, before: &Kept) -> Vec<Mark> {
    shared(&before.paths(), |(path, _)| Mark::of(top, path).unwrap_or_default())
}

/// What `look` says of each, in order, shared among a few threads where there are many.
fn shared<'i, T: Sync, R: Send>(items: &'i [T], look: impl Fn(&'i T) -> R + Sync) -> Vec<R> {
    let threads = items.len().div_ceil(FOLDERS_EACH).clamp(1, THREADS_MAX);
    let look_at = |items: &'i [T]| items.iter().map(&look).collect::<Vec<R>>();
    if threads == 1 {
        return look_at(items);
    }
    std::thread::scope(|scope| {
        let look_at = &look_at;
        let begin = |part: &'i [T]| (part, std::thread::Builder::new().spawn_scoped(scope, move || look_at(part)));
        let parts: Vec<_> = items.chunks(items.len().div_ceil(threads)).map(begin).collect();
        // A thread that could not be started or did not end well is done without.
        let end = |(part, thread): (&'i [T], std::io::Result<std::thread::ScopedJoinHandle<'_, Vec<R>>>)| {
            thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(|| look_at(part))
        };
        parts.into_iter().flat_map(end).collect()
    })
}
