//! The journal of a session: what was there before, kept before the session changes it, moves it or takes it away (`docs/adr/0038`).
//!
//! A folder of Interlock's own holds lines, in the order of the acts, and the contents that they name. A line is written before its effect, so a
//! session that is killed at any moment can still be undone. What is taken away or replaced goes there itself, by a rename, where it lies on the
//! same file system: so what is kept is what was lost, whoever exchanged the name meanwhile. What is opened for writing is copied.
//! Left out: what of before an act is upon, which the door observes; bringing anything back, which is a person's (`interlock session restore`).
//!
//! INVARIANT: of an object that was there before, nobody of the session gets a descriptor to write to before its content is kept, or it is said
//! that it is not.

mod budget;
mod lines;
mod object;
mod store;

use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use crate::sys::handles::{self, Handle};
use budget::Budget;
pub use budget::Class;
use interlock_core::patterns::Patterns;
use interlock_core::target::Inode;
use lines::Lines;
pub use object::{End, Held};
use serde_json::Value;
use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{Came, Store};

/// Objects that are remembered; with more the journal ends.
const KNOWN_MAX: usize = 1 << 20;
/// What each object takes besides its blocks: its inode, its name, its line.
const OBJECT_BYTES: u64 = 1024;
/// While the content of an object is copied, others of the same share wait.
const SHARES: usize = 64;

/// What is kept, where, and how much of it.
#[allow(missing_docs)]
pub struct Wanted<'a> {
    pub folder: &'a Path,
    /// Bytes on disk that are kept at most.
    pub bytes: u64,
    /// All below is kept.
    pub workspace: &'a [u8],
    /// Of what else these name nothing is kept.
    pub exempt: Patterns,
    /// What these name has half of the room.
    pub derived: Patterns,
}

/// The journal of one session.
pub struct Journal {
    store: Store,
    lines: Lines,
    budget: Budget,
    workspace: Vec<u8>,
    exempt: Patterns,
    derived: Patterns,
    known: Mutex<HashMap<Inode, Known>>,
    shares: [Mutex<()>; SHARES],
    stopped: AtomicBool,
    has_moved: AtomicBool,
    news: Mutex<Vec<News>>,
}

/// What of an object is kept already.
struct Known {
    level: Level,
    handle: Option<Handle>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Metadata,
    Content,
}

/// Something that is not kept: told to a person once, and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct News {
    pub because: String,
    /// The first that is not kept, or what could not be.
    pub path: Vec<u8>,
}

/// A name that is moved.
#[allow(missing_docs)]
pub struct Moved<'a> {
    pub path: &'a [u8],
    pub to: &'a [u8],
    pub what: End<'a>,
    /// What has the other name.
    pub other: Option<End<'a>>,
    /// Whether the two are exchanged; else the one replaces the other.
    pub exchanges: bool,
}

/// How what is lost is to be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Kept as long as there is room, and said where there is none.
    WhatFits,
    /// Kept, or the act is not done: then nothing is lost.
    OrNothing,
}

/// What became of a name that was to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is gone, and what it was the name of is kept.
    Gone,
    /// Nothing was done: what had to be kept is, or is not to be. The act remains to be done.
    Remains,
    /// Something else stood there.
    Other,
}

impl Journal {
    /// Makes the folder and opens the journal.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(wanted: Wanted<'_>) -> Sys<Self> {
        let store = Store::make(wanted.folder)?;
        let budget = Budget::of(wanted.bytes, store.free()?);
        let lines = Lines::begin(&store, budget.bytes())?;
        let Wanted { exempt, derived, workspace, .. } = wanted;
        Ok(Self {
            store,
            lines,
            budget,
            workspace: workspace.to_vec(),
            exempt,
            derived,
            known: Mutex::default(),
            shares: std::array::from_fn(|_| Mutex::default()),
            stopped: AtomicBool::new(false),
            has_moved: AtomicBool::new(false),
            news: Mutex::default(),
        })
    }

    /// Before the content of what was there before may change.
    pub fn content(&self, held: &Held<'_>, keeping: Keeping) {
        if !self.covers(held.path) {
            return;
        }
        let _share = self.share(held.stat.inode);
        if self.knows(held, Level::Content) {
            return;
        }
        let Some(size) = self.room_for(held, keeping) else { return };
        // Before it is read, which is an access.
        let was = held.words();
        let kept = self.store.copy(held).and_then(|name| self.lines.kept(held, was, name.as_deref(), false));
        match kept {
            Ok(_) => self.note(held, Level::Content),
            Err(error) => {
                self.budget.give_back(self.class(held.path), size);
                self.unkept(held.path, error);
            }
        }
    }

    /// Before anything but the content of what was there before may change: mode, owner, times, attributes; of a folder also its names.
    pub fn metadata(&self, held: &Held<'_>) {
        if !self.covers(held.path) || self.knows(held, Level::Metadata) {
            return;
        }
        match self.lines.metadata(held) {
            Ok(_) => self.note(held, Level::Metadata),
            Err(error) => self.unkept(held.path, error),
        }
    }

    /// Whether the object has nothing left to be noted of it.
    pub fn has_metadata(&self, stat: &Stat) -> bool {
        self.known().contains_key(&inode(stat))
    }

    /// Whether its content is kept.
    pub fn keeps(&self, held: &Held<'_>) -> bool {
        self.knows(held, Level::Content)
    }

    /// Takes away the name `entry` of what was there before, and keeps that: it goes into the store itself where it can.
    ///
    /// # Errors
    /// The kernel's: nothing was done.
    pub fn take(&self, held: &Held<'_>, (parent, entry): (BorrowedFd<'_>, &CStr), keeping: Keeping) -> Sys<Taken> {
        if !self.covers(held.path) {
            return Ok(Taken::Remains);
        }
        if self.knows(held, Level::Content) {
            return self.discard(held, parent, entry);
        }
        if !self.store.shares_device(held.stat) {
            self.content(held, keeping);
            return Ok(Taken::Remains);
        }
        let Some(size) = self.room_for(held, keeping) else { return Ok(Taken::Remains) };
        let name = self.store.name();
        let Ok(line) = self.lines.kept(held, held.words(), Some(&name), true).map_err(|error| self.unkept(held.path, error)) else {
            return Ok(Taken::Remains);
        };
        match self.store.take(parent, entry, held.stat, &name) {
            Ok(Came::Object) => return Ok(Taken::Gone),
            Ok(came) => {
                self.lines.failed(line);
                self.budget.give_back(self.class(held.path), size);
                self.stray(held.path, came, &name);
                return Ok(Taken::Other);
            }
            Err(Errno(libc::EXDEV)) => {}
            Err(error) => {
                self.lines.failed(line);
                self.budget.give_back(self.class(held.path), size);
                return Err(error);
            }
        }
        // Another mount, or another project's quota, on the same device.
        self.lines.failed(line);
        self.budget.give_back(self.class(held.path), size);
        self.content(held, keeping);
        Ok(Taken::Remains)
    }

    /// Takes away the name `entry` of what is kept already. By way of the store as well: so nobody else's goes who came to the name meanwhile.
    fn discard(&self, held: &Held<'_>, parent: BorrowedFd<'_>, entry: &CStr) -> Sys<Taken> {
        if !self.store.shares_device(held.stat) {
            return Ok(Taken::Remains);
        }
        let name = self.store.name();
        match self.store.take(parent, entry, held.stat, &name) {
            Ok(Came::Object) => self.store.drop(&name).map(|()| Taken::Gone),
            Ok(came) => {
                self.stray(held.path, came, &name);
                Ok(Taken::Other)
            }
            Err(Errno(libc::EXDEV)) => Ok(Taken::Remains),
            Err(error) => Err(error),
        }
    }

    /// What was somebody's and could not go back is kept.
    fn stray(&self, path: &[u8], came: Came, name: &str) {
        if came != Came::Another {
            return;
        }
        let kept = self.store.held(name).and_then(|(file, stat)| {
            let held = Held { path, file: file.as_fd(), stat: &stat };
            self.lines.kept(&held, held.words(), Some(name), true)
        });
        let _told = kept.map_err(|error| self.unkept(path, error));
    }

    /// Whether an object lies where it can be taken from by a rename.
    pub fn takes_in(&self, stat: &Stat) -> bool {
        self.store.shares_device(stat)
    }

    /// A last name was taken away from what is kept: its number may be another's from now on.
    pub fn forget(&self, stat: &Stat) {
        self.known().remove(&inode(stat));
    }

    /// Before a name is made, a second one of what is called `linked`. The number of the line; none where nothing is noted.
    pub fn making(&self, path: &[u8], linked: Option<&[u8]>) -> Option<u64> {
        if !self.covers(path) {
            return None;
        }
        self.lines.making(path, linked).map_err(|error| self.unkept(path, error)).ok()
    }

    /// A name was made, and this is what it is the name of.
    pub fn made(&self, line: Option<u64>, stat: &Stat) {
        if let Some(line) = line {
            self.lines.made(line, stat);
        }
    }

    /// What was to be done is not.
    pub fn failed(&self, line: Option<u64>) {
        if let Some(line) = line {
            self.lines.failed(line);
        }
    }

    /// Before a name is moved.
    pub fn moving(&self, moved: &Moved<'_>) -> Option<u64> {
        if !self.covers(moved.path) && !self.covers(moved.to) {
            return None;
        }
        if moved.what.was_before || moved.other.is_some_and(|other| other.was_before && moved.exchanges) {
            self.has_moved.store(true, Ordering::Release);
        }
        self.lines.moving(moved).map_err(|error| self.unkept(moved.path, error)).ok()
    }

    /// Whether anything of before has another name by now.
    pub fn has_moved(&self) -> bool {
        self.has_moved.load(Ordering::Acquire)
    }

    /// The session is over: what changes from now on is somebody else's.
    pub fn end(&self) {
        self.lines.end(self.budget.taken());
        if self.lines.is_empty() {
            self.store.remove();
        }
    }

    /// Says that the session still runs, so that it is known afterwards until when it did.
    pub fn beat(&self) {
        self.lines.beat();
    }

    /// What is not kept and nobody was told of yet.
    pub fn news(&self) -> Vec<News> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether anything of what is called so is kept.
    pub fn covers(&self, path: &[u8]) -> bool {
        let in_workspace = || path.strip_prefix(self.workspace.as_slice()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        !self.stopped.load(Ordering::Acquire) && (in_workspace() || !self.exempt.matches(path))
    }

    fn class(&self, path: &[u8]) -> Class {
        if self.derived.matches(path) { Class::Derived } else { Class::Plain }
    }

    /// Takes room for what is held. Nothing where there is none left.
    fn room_for(&self, held: &Held<'_>, keeping: Keeping) -> Option<u64> {
        let (class, size) = (self.class(held.path), held.allocated().saturating_add(OBJECT_BYTES));
        match self.budget.take(class, size) {
            Ok(()) => Some(size),
            Err(spent) => {
                if let Some(because) = (keeping == Keeping::WhatFits).then(|| spent.first_time()).flatten() {
                    self.tell(because, held.path);
                }
                None
            }
        }
    }

    /// What could not be kept. A disk without room ends the journal; what cannot be read is not kept, and the rest is.
    fn unkept(&self, path: &[u8], error: Errno) {
        if matches!(error, Errno(libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::EROFS | libc::EFBIG)) {
            let why = if self.lines.is_full() { "its list of what was done has no more room".to_owned() } else { words(error) };
            if !self.stopped.swap(true, Ordering::AcqRel) {
                self.tell(format!("from here on nothing is kept: {why}"), path);
            }
        } else {
            self.lines.unkept(path, error);
            self.tell(format!("it could not be kept: {}", words(error)), path);
        }
    }

    fn tell(&self, because: String, path: &[u8]) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if !news.iter().any(|told| told.because == because) {
            news.push(News { because, path: path.to_vec() });
        }
    }

    fn share(&self, number: u64) -> Option<MutexGuard<'_, ()>> {
        let share = self.shares.get((number % SHARES as u64) as usize)?;
        Some(share.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Inode, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that much is kept of what is held. The kernel is asked only about numbers that are known.
    fn knows(&self, held: &Held<'_>, level: Level) -> bool {
        let found = self.known().get(&inode(held.stat)).map(|known| (known.level, known.handle.clone()));
        found.is_some_and(|(known, handle)| known >= level && (handle.is_none() || handles::of(held.file) == handle))
    }

    fn note(&self, held: &Held<'_>, level: Level) {
        let handle = handles::of(held.file);
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            drop(known);
            if !self.stopped.swap(true, Ordering::AcqRel) {
                self.tell("from here on nothing is kept: the session has changed too many objects".to_owned(), held.path);
            }
            return;
        }
        known.insert(inode(held.stat), Known { level, handle });
    }
}

fn inode(stat: &Stat) -> Inode {
    Inode { device: stat.device, number: stat.inode }
}

impl News {
    /// For the record, and for `interlock run`.
    #[must_use]
    pub fn message(&self, kind: &str) -> Value {
        serde_json::json!({"type": kind, "because": self.because, "path": interlock_core::action::Bytes(self.path.clone())})
    }
}

fn words(error: Errno) -> String {
    std::io::Error::from_raw_os_error(error.0).to_string()
}

/// Opens what is held to be read, its time of access left as it is where that may be asked for.
fn readable(own: BorrowedFd<'_>, file: BorrowedFd<'_>) -> Sys<std::os::fd::OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_NONBLOCK;
    files::reopen(own, file, flags | libc::O_NOATIME, 0).or_else(|_| files::reopen(own, file, flags, 0))
}
