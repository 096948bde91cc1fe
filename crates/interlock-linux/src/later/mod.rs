//! What a session changed that something outside would run later: hooks, start-up files, build steps, programs, configuration that names any of them.
//!
//! Such files may be writable on purpose, so they are listed at the end: by object, not by the name that was used, and by what it is, not by its name
//! alone. What was changed is remembered as it is done (`found`); what of it would run is looked at once the session is over (`left`).

mod content;
mod former;
mod found;
mod git;
mod keys;
mod kinds;
mod left;
mod named;
mod passing;
mod replay;
mod snapshots;
mod walk;
mod words;

use crate::wire::messages::{Finds, RunsLater};
use former::Former;
use found::{CHANGED, Change, Found, MADE};
use interlock_core::action::Bytes;
use interlock_core::target::{FileEnd, Target};
use interlock_core::verb::Verb;
use kinds::Kinds;
pub use left::Left;
pub use passing::Passing;
pub use replay::run as replay;
use snapshots::Snapshots;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kinds, and what was changed.
pub struct Later {
    kinds: Kinds,
    passing: Passing,
    found: Mutex<Found>,
    before: Mutex<Snapshots>,
    former: Mutex<Former>,
}

/// What a call would change, once it is done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<Change>);

impl Later {
    /// # Errors
    /// A pattern that is none.
    pub fn new(wanted: &RunsLater, workspace: &Bytes, home: &Bytes, passing: Passing) -> Result<Self, String> {
        Ok(Self {
            kinds: Kinds::new(wanted, &workspace.0, &home.0)?,
            passing: passing.and(&wanted.passing),
            found: Mutex::default(),
            before: Mutex::default(),
            former: Mutex::default(),
        })
    }

    /// What the acts of one call would change. What lies at a keyed name is looked at first, since it is not there afterwards.
    pub fn of<'a>(&self, acts: impl Iterator<Item = (Verb, &'a Target)> + Clone) -> Changes {
        if self.kinds.is_empty() || acts.clone().all(|(verb, _)| !changes(verb)) {
            return Changes::default();
        }
        // A deletion beside another act is what overwriting amounts to.
        let alone = acts.clone().take(2).count() == 1;
        let mut found: Vec<Change> = acts.filter_map(|(verb, target)| change(verb, target, alone)).collect();
        found.dedup();
        for path in found.iter().flat_map(|change| names(change)) {
            self.remember(path);
            self.keep(path);
        }
        for change in &found {
            if let Change::Moved { from, to, exchange, .. } = change {
                self.before().moves(from, to, *exchange);
            }
        }
        Changes(found)
    }

    /// Remembers what was changed.
    pub fn note(&self, changes: Changes) {
        if changes.0.is_empty() {
            return;
        }
        let mut found = self.found();
        for change in changes.0 {
            found.note(&self.kinds, change);
        }
    }

    /// What of it would run.
    #[must_use]
    pub fn left(&self) -> Left {
        let found = self.found();
        left::left(&self.kinds, &self.passing, &found, self.before().keys(), &self.former())
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn before(&self) -> MutexGuard<'_, Snapshots> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn former(&self) -> MutexGuard<'_, Former> {
        self.former.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the text of a file that runs something, if nothing of the session has changed it.
    fn keep(&self, path: &[u8]) {
        if self.kinds.finding(Finds::Named).is_none() || self.kinds.tree_of(path).is_some() || !named::runs(&self.kinds, path) {
            return;
        }
        let is_known = self.former().has(path);
        if !is_known && !self.found().has_changed(path) {
            self.former().take(path);
        }
    }

    fn remember(&self, path: &[u8]) {
        if !self.kinds.is_keyed(path) {
            return;
        }
        let Some(of) = self.kinds.by_name(path).and_then(|kind| self.kinds.all.get(kind)).and_then(|kind| kind.keys.as_ref()) else {
            return;
        };
        let was_changed = self.found().has_changed(path);
        self.before().take(path, of.format, was_changed);
    }
}

fn changes(verb: Verb) -> bool {
    verb.is_file() && !matches!(verb, Verb::FileRead | Verb::FileUtime)
}

fn change(verb: Verb, target: &Target, alone: bool) -> Option<Change> {
    let owned = |path: &Bytes| path.0.clone();
    match (verb, target) {
        (verb, _) if !changes(verb) => None,
        (Verb::FileDelete, Target::File(end)) => alone.then(|| Change::Gone { path: owned(&end.path) }),
        (Verb::FileCreate | Verb::FileMknod, Target::File(FileEnd { path, inode, .. })) => {
            Some(Change::At { path: owned(path), how: MADE, object: *inode })
        }
        (_, Target::File(FileEnd { path, inode, .. })) => Some(Change::At { path: owned(path), how: CHANGED, object: *inode }),
        (Verb::FileLink, Target::Pair { path, inode, to, .. }) => {
            Some(Change::Linked { from: owned(path), to: owned(&to.path), object: *inode })
        }
        (_, Target::Pair { path, inode, to, exchange, .. }) => {
            Some(Change::Moved { from: owned(path), to: owned(&to.path), object: *inode, exchange: *exchange })
        }
        _ => None,
    }
}

/// The names at which something else will be, or by which an object will be changed from elsewhere.
fn names(change: &Change) -> Vec<&[u8]> {
    match change {
        Change::At { path, .. } | Change::Gone { path } => vec![path],
        Change::Moved { from, to, .. } => vec![from, to],
        Change::Linked { from, to, .. } => vec![from, to],
    }
}
