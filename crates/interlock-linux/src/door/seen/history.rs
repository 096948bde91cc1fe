//! What of an act was there before the session (`History`): content that the repository had at this path, and folders that came with the session.
//!
//! Somebody outside opens folders that he knows. A folder that this session made, at a name that led nowhere before, is not one of them; a name
//! that a file, a folder or a link of before was taken from is remembered, and so is everything below it, for as long as the session lasts. What
//! another session took away is known by the repository, which had something there.
//! INVARIANT: a name that is new stays new or becomes known, and never the other way round, but for what could not be read in time, which counts as
//! known until it is. So what was decided of a name holds for as long as the act's place stands.
//! Left out: what a repository below the workspace has that is not a submodule, and whatever is named a commit after the start.

use super::made::Made;
use super::mounts::Mounts;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, OpenHow, Stat};
use interlock_core::action::{Action, Inode, Target, Verb};
use interlock_core::facts::{History, Origin};
use interlock_core::plan::Plan;
use interlock_git::{Entry, GoesOn, Past, has_file, has_link};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Bytes of content that is compared; what is longer is taken for something else.
const CONTENT_BYTES_MAX: u64 = 4 << 20;
/// How long one question may read in the repositories, where it is alone; several share that. What is not found out by then is not known, and a rule that
/// asks for it denies.
const PATIENCE: Duration = Duration::from_secs(5);
/// Names that something of before was taken from; past it no name is new.
const LEFT_MAX: usize = 1 << 16;
/// Folders of which an answer is kept; when there are more, it is begun anew.
const ANSWERS_MAX: usize = 1 << 12;

/// What is known of the workspace as it was.
#[derive(Default)]
pub struct Histories {
    workspace: Vec<u8>,
    /// The workspace's repository and its submodules, each by its top; what lies in another comes before that one.
    pasts: Vec<(Vec<u8>, Past)>,
    left: Mutex<Left>,
    /// Whether a rule asks for a folder's own name.
    led: Answers,
    /// Whether a repository had something at a folder's name.
    stood: Answers,
    reading: Reading,
}

/// How many questions are being read for. Each holds a receiver of calls up, so many take no longer together than one.
#[derive(Default)]
struct Reading(AtomicU32);

/// What was found out about folders: the same are on the way to each act.
#[derive(Default)]
struct Answers(RwLock<HashMap<Vec<u8>, bool>>);

#[derive(Default)]
struct Left {
    names: BTreeSet<Vec<u8>>,
    overflown: bool,
}

/// What a history is asked with: policy, what the session made, and the root directory.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Known<'a> {
    pub plan: &'a Plan,
    pub made: &'a Made,
    pub mounts: &'a Mounts,
    pub root: BorrowedFd<'a>,
}

impl Histories {
    /// Of the workspace, and what its repository and the submodules, by their tops, named when the session began.
    #[must_use]
    pub fn new(workspace: Vec<u8>, mut pasts: Vec<(Vec<u8>, Past)>) -> Self {
        pasts.sort_by_key(|(top, _)| std::cmp::Reverse(top.len()));
        Self { workspace, pasts, ..Self::default() }
    }

    /// Something is about to be taken from this name: remembered where a person could have known it.
    pub fn leaving(&self, name: &[u8], stat: &Stat, origin: Origin) {
        if origin == Origin::Before && matches!(stat.kind(), libc::S_IFDIR | libc::S_IFLNK | libc::S_IFREG) {
            self.left().note(name);
        }
    }

    /// The history of an act on files at its one end, or its source, and at its destination.
    #[must_use]
    pub fn of(&self, action: &Action, known: Known<'_>) -> (Option<History>, Option<History>) {
        match &action.target {
            Target::File(end) => (self.of_end(action.verb, &end.path.0, end.inode, known), None),
            Target::Pair { path, inode, to, exchange, .. } => {
                let there = if self.is_new(&to.path.0, known) { History::Session } else { History::None };
                // At an exchange the source is a name that something comes to as well, and that is not what the repository had there.
                let own = match self.of_end(action.verb, &path.0, *inode, known) {
                    Some(History::Tracked) if *exchange => Some(History::None),
                    own => own,
                };
                (own, Some(there))
            }
            _ => (None, None),
        }
    }

    /// `None`: the repositories could not be read in time.
    fn of_end(&self, verb: Verb, path: &[u8], object: Option<Inode>, known: Known<'_>) -> Option<History> {
        // What somebody else put into a new folder is nothing that the session may read.
        if verb != Verb::FileRead && self.is_new(path, known) {
            return Some(History::Session);
        }
        let stood = match (verb, object) {
            // What the repository had may be read in a worktree or a copy of it as well: whoever has the one has the other.
            (Verb::FileRead, Some(_)) => self.under(path)?,
            (Verb::FileDelete | Verb::FileRename, Some(_)) => self.at(path)?,
            _ => BTreeSet::new(),
        };
        let is_had = object.is_some_and(|object| had(&stood, path, object, known.root));
        Some(if is_had { History::Tracked } else { History::None })
    }

    /// Whether a symlink that says `content` is known to be what the repository had there.
    #[must_use]
    pub fn had_link(&self, path: &[u8], content: &[u8]) -> bool {
        content.len() as u64 <= CONTENT_BYTES_MAX && self.at(path).is_some_and(|stood| has_link(&stood, content))
    }

    /// The repository that has its git directory there, and its top.
    #[must_use]
    pub fn repository_at(&self, git: &[u8]) -> Option<(&[u8], &Past)> {
        let is_there = |past: &Past| past.revisions().git().as_os_str().as_bytes() == git;
        self.pasts.iter().find(|(_, past)| is_there(past)).map(|(top, past)| (top.as_slice(), past))
    }

    /// Whether the repository is known to have had a folder there.
    #[must_use]
    pub fn had_folder(&self, path: &[u8]) -> bool {
        self.at(path).is_some_and(|stood| stood.iter().any(|entry| matches!(entry, Entry::Folder(_))))
    }

    /// Whether the repository is known to have had a file there at all.
    #[must_use]
    pub fn had_file(&self, path: &[u8]) -> bool {
        self.at(path).is_some_and(|stood| stood.iter().any(|entry| matches!(entry, Entry::File(_))))
    }

    /// Whether a file with this content is what the repository had there. `None`: it could not be read in time.
    #[must_use]
    pub fn had_content(&self, path: &[u8], content: &[u8]) -> Option<bool> {
        Some(has_file(&self.at(path)?, content))
    }

    /// Reads for a question within this time at most, less where others are read for.
    pub fn within<T>(&self, time: Duration, ask: impl FnOnce(GoesOn<'_>) -> T) -> T {
        self.reading.within(time, ask)
    }

    fn at(&self, path: &[u8]) -> Option<BTreeSet<Entry>> {
        let of = |(top, past): &(Vec<u8>, Past)| {
            let below = path.strip_prefix(top.as_slice())?.strip_prefix(b"/")?;
            self.reading.within(PATIENCE, |goes_on| Some(past.at(below, goes_on)))
        };
        self.pasts.iter().find_map(of).unwrap_or_else(|| Some(BTreeSet::new()))
    }

    /// All that stood at the path, or at what is left of it without its first folders, in any of the repositories.
    fn under(&self, path: &[u8]) -> Option<BTreeSet<Entry>> {
        let Some(below) = self.below(path) else { return Some(BTreeSet::new()) };
        let starts = below.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
        let paths: Vec<&[u8]> = std::iter::once(0).chain(starts).filter_map(|start| below.get(start..)).collect();
        self.reading.within(PATIENCE, |goes_on| {
            let mut stood = BTreeSet::new();
            for (_, past) in &self.pasts {
                for path in &paths {
                    stood.extend(past.at(path, goes_on)?);
                }
            }
            Some(stood)
        })
    }

    fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        path.strip_prefix(self.workspace.as_slice())?.strip_prefix(b"/")
    }

    /// Whether `path` lies in a folder that came with this session at a name which led nowhere before, and at which no repository had anything. Folders
    /// whose own names a rule asks for (`.tool`, of `**/.tool/settings`) are what somebody looks for in a folder, and nothing that is opened.
    #[must_use]
    pub fn is_new(&self, path: &[u8], known: Known<'_>) -> bool {
        // Asked last: a name is noted before anything is taken from it, so whatever was seen there in between is known by then.
        self.lies_in_new(path, known) && !self.left().covers(path)
    }

    fn lies_in_new(&self, path: &[u8], known: Known<'_>) -> bool {
        let Some(below) = self.below(path) else { return false };
        let top = path.len() - below.len();
        let ends = below.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| top + at);
        for folder in ends.filter_map(|end| path.get(..end)) {
            if self.leads_to(known.plan, folder) {
                return false;
            }
            match object_at(folder, known.root) {
                Err(Errno(libc::ENOENT)) => return !self.stood_at(folder),
                Ok((file, stat)) if known.made.origin(inode(&stat), file.as_fd()) == Origin::Session => return !self.stood_at(folder),
                Ok((_, stat)) if stat.kind() == libc::S_IFDIR => {}
                _ => return false,
            }
        }
        false
    }

    /// Whether a rule asks for the folder's own name. The plan of a session stays the same.
    fn leads_to(&self, plan: &Plan, folder: &[u8]) -> bool {
        self.led.of(folder, || Some(plan.leads_to(Verb::FileCreate, folder))).unwrap_or(true)
    }

    /// Whether a repository had anything at this name when the session began, or that cannot be found out in time: whoever has it knows the name, though
    /// nothing may have been there just then. Another session may have taken it away, at the same time or before.
    fn stood_at(&self, folder: &[u8]) -> bool {
        self.pasts.iter().any(|(top, _)| top == folder) || self.stood.of(folder, || Some(!self.at(folder)?.is_empty())).unwrap_or(true)
    }

    /// Whether `path` and each name on the way to it is a folder or file of before, or one that a rule asks for: what is made there is decided as
    /// something that a person knows, whatever the session does. A link or nothing on the way may be a new folder by then. Outside the workspace
    /// all on the way has to lead outside (`stays_outside`). `own`: from a folder of the session's own that lies there.
    #[must_use]
    pub fn is_surely_known(&self, path: &[u8], own: bool, known: Known<'_>) -> bool {
        let Some(below) = self.below(path) else { return self.stays_outside(path, own, known).unwrap_or(false) };
        let top = path.len() - below.len();
        let ends = below.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| top + at);
        ends.filter_map(|end| path.get(..end)).chain([path]).all(|folder| {
            self.leads_to(known.plan, folder)
                || object_at(folder, known.root).is_ok_and(|(file, stat)| {
                    matches!(stat.kind(), libc::S_IFDIR | libc::S_IFREG) && known.made.origin(inode(&stat), file.as_fd()) != Origin::Session
                })
        })
    }

    /// Whether a path leads outside of the workspace, whatever mounts it is reached by, and will: over things of before that are there. From a folder of
    /// the session's own outside (`own`) also over what the session made: each link that it makes there is judged as this one is, and nobody else makes
    /// what is missing in a folder of its own. On procfs a path leads each reader elsewhere.
    fn stays_outside(&self, path: &[u8], own: bool, known: Known<'_>) -> Sys<bool> {
        let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).chain([path.len()]);
        let mut is_ours = false;
        for part in ends.filter_map(|end| path.get(..end)) {
            let name = files::text(part)?;
            for follow in [libc::O_NOFOLLOW, 0] {
                let step = match files::open_at(known.root, &name, libc::O_PATH | libc::O_CLOEXEC | follow, 0) {
                    Err(Errno(libc::ENOENT)) if follow != 0 && own => return Ok(is_ours),
                    step => step?,
                };
                let is_procs = files::file_system(step.as_fd())? == libc::PROC_SUPER_MAGIC;
                is_ours = known.made.origin(inode(&files::stat(step.as_fd())?), step.as_fd()) == Origin::Session;
                if is_procs || (is_ours && !own) {
                    return Ok(false);
                }
            }
            let led_to = self.led_to(part, known)?;
            if std::iter::once(&led_to).chain(&known.mounts.aliases(&led_to)).any(|name| self.is_within(name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a path outside of the workspace leads to now, as the kernel calls it.
    ///
    /// # Errors
    /// It leads to nothing.
    pub fn led_to(&self, path: &[u8], known: Known<'_>) -> Sys<Vec<u8>> {
        let object = files::open_at(known.root, &files::text(path)?, libc::O_PATH | libc::O_CLOEXEC, 0)?;
        let magic = files::magic(object.as_fd()).absolute();
        let name = std::fs::read_link(std::path::Path::new(std::ffi::OsStr::from_bytes(magic.as_bytes())))?;
        Ok(name.into_os_string().into_vec())
    }

    /// Whether `name` lies outside of the workspace in a folder that this session made.
    pub fn is_own_outside(&self, name: &[u8], known: Known<'_>) -> bool {
        let folder = name.iter().rposition(|byte| *byte == b'/').and_then(|slash| name.get(..slash)).unwrap_or_default();
        !self.is_within(name)
            && object_at(folder, known.root).is_ok_and(|(file, stat)| known.made.origin(inode(&stat), file.as_fd()) == Origin::Session)
    }

    fn is_within(&self, name: &[u8]) -> bool {
        name == self.workspace || self.below(name).is_some()
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answers {
    /// What is known, else what `ask` finds out. `None`: it does not.
    fn of(&self, folder: &[u8], ask: impl FnOnce() -> Option<bool>) -> Option<bool> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner).get(folder).copied();
        kept.or_else(|| {
            let answer = ask()?;
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= ANSWERS_MAX {
                all.clear();
            }
            all.insert(folder.to_vec(), answer);
            Some(answer)
        })
    }
}

impl Reading {
    /// Asks what has to be known within this time.
    fn within<T>(&self, time: Duration, ask: impl FnOnce(GoesOn<'_>) -> T) -> T {
        let (begun, counted) = (Instant::now(), Counted::of(&self.0));
        ask(&|| begun.elapsed() < shared(time, counted.0.load(Ordering::Acquire)))
    }
}

/// One of those that are counted, until it is dropped.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn of(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is left to each of so many.
fn shared(time: Duration, questions: u32) -> Duration {
    time / questions.max(1)
}

impl Left {
    fn note(&mut self, name: &[u8]) {
        if self.covers(name) {
            return;
        }
        let below = [name, b"/"].concat();
        let covered: Vec<Vec<u8>> = self.names.range(below.clone()..).take_while(|known| known.starts_with(&below)).cloned().collect();
        for known in covered {
            self.names.remove(&known);
        }
        self.overflown |= self.names.len() >= LEFT_MAX;
        if !self.overflown {
            self.names.insert(name.to_vec());
        }
    }

    /// Whether the name, or one above it, is among them.
    fn covers(&self, name: &[u8]) -> bool {
        let above = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').filter_map(|(at, _)| name.get(..at));
        self.overflown || self.names.contains(name) || { above }.any(|above| self.names.contains(above))
    }
}

/// Whether what stands at `path` now, the object given, is one of these.
fn had(entries: &BTreeSet<Entry>, path: &[u8], object: Inode, root: BorrowedFd<'_>) -> bool {
    if entries.is_empty() {
        return false;
    }
    match held(path, object, root) {
        Ok((_, stat)) if stat.kind() == libc::S_IFDIR => entries.iter().any(|entry| matches!(entry, Entry::Folder(_))),
        Ok((file, stat)) if stat.kind() == libc::S_IFLNK => {
            files::read_link(file.as_fd(), c"").is_ok_and(|content| has_link(entries, &content))
        }
        Ok((file, stat)) if stat.kind() == libc::S_IFREG => {
            content_of(file.as_fd(), &stat).is_ok_and(|content| has_file(entries, &content))
        }
        _ => false,
    }
}

/// What is called so, its own links not followed, and none on the way.
fn object_at(path: &[u8], root: BorrowedFd<'_>) -> Sys<(OwnedFd, Stat)> {
    let how = OpenHow { flags: (libc::O_PATH | libc::O_NOFOLLOW) as u64, mode: 0, resolve: libc::RESOLVE_NO_SYMLINKS };
    let file = files::open_how(root, &files::text(path)?, how)?;
    let stat = files::stat(file.as_fd())?;
    Ok((file, stat))
}

/// The object given, if it is what is called so.
fn held(path: &[u8], object: Inode, root: BorrowedFd<'_>) -> Sys<(OwnedFd, Stat)> {
    let (file, stat) = object_at(path, root)?;
    if inode(&stat) == object { Ok((file, stat)) } else { Err(Errno(libc::ESTALE)) }
}

/// All of a plain file that is not too long.
fn content_of(file: BorrowedFd<'_>, stat: &Stat) -> Sys<Vec<u8>> {
    if u64::try_from(stat.size).map_or(true, |size| size > CONTENT_BYTES_MAX) {
        return Err(Errno(libc::EFBIG));
    }
    let opened = File::open(std::path::Path::new(std::ffi::OsStr::from_bytes(files::magic(file).absolute().as_bytes())))?;
    let mut content = Vec::new();
    opened.take(CONTENT_BYTES_MAX + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn inode(stat: &Stat) -> Inode {
    Inode { device: stat.device, number: stat.inode }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_covers_is_kept_once() {
        let mut left = Left::default();
        left.note(b"/w/a/b");
        left.note(b"/w/a/c/d");
        assert!(left.covers(b"/w/a/b/.tool") && left.covers(b"/w/a/b") && !left.covers(b"/w/a") && !left.covers(b"/w/a/bb"));
        left.note(b"/w/a");
        assert!(left.covers(b"/w/a/x"));
        assert_eq!(left.names.len(), 1);
    }

    #[test]
    fn questions_together_take_no_longer_than_one_alone() {
        let reading = Reading::default();
        assert!(reading.within(PATIENCE, |goes_on| goes_on()));
        for others in 0..300 {
            assert_eq!(reading.0.fetch_add(1, Ordering::AcqRel), others);
            assert!(shared(PATIENCE, others + 1) * (others + 1) <= PATIENCE);
        }
        reading.within(PATIENCE, |_| assert_eq!(reading.0.load(Ordering::Acquire), 301));
        assert_eq!(reading.0.load(Ordering::Acquire), 300);
    }

    #[test]
    fn with_too_many_no_name_is_new() {
        let mut left = Left::default();
        (0..=LEFT_MAX).for_each(|number| left.note(format!("/w/{number}").as_bytes()));
        assert!(left.covers(b"/w/never"));
    }
}
