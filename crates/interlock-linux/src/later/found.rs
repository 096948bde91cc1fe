//! What a session has changed so far, by object: every name with what was done at it, and objects that are known, or may be known, by several names.
//!
//! Names die as they are removed, so that making and removing names displaces nothing. Where there are too many, what lies deepest goes first, and is
//! counted. Left out: which of it runs later (`left`).

use super::kinds::{Kinds, is_at_or_below};
use interlock_core::action::Inode;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Names kept that some kind names, and that none does; objects kept.
const NAMED_MAX: usize = 20_000;
const PLAIN_MAX: usize = 100_000;
const OBJECTS_MAX: usize = 100_000;
const TREES_MAX: usize = 2_000;
/// While there is no room, how many changes are counted before it is looked again which names are gone.
const BURIALS_EVERY: u64 = 1024;

/// What was done at a name, as bits.
pub const MADE: u8 = 1;
pub const CHANGED: u8 = 2;
pub const MOVED: u8 = 4;
pub const LINKED: u8 = 8;
/// The object has names that the session did not use.
pub const SHARED: u8 = 16;

/// One thing that was done, with the object where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something was made or changed at a name; `MADE` or `CHANGED`.
    At {
        path: Vec<u8>,
        how: u8,
        object: Option<Inode>,
    },
    Moved {
        from: Vec<u8>,
        to: Vec<u8>,
        object: Option<Inode>,
        exchange: bool,
    },
    Linked {
        from: Vec<u8>,
        to: Vec<u8>,
        object: Option<Inode>,
    },
    Gone {
        path: Vec<u8>,
    },
}

/// What is known of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Nothing: only known to be another name of an object.
    pub how: u8,
    pub object: Option<Inode>,
    named: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    names: u32,
    changed: bool,
    /// It had names before that were not seen.
    others: bool,
}

/// All of it.
#[derive(Default)]
pub struct Found {
    pub names: BTreeMap<Vec<u8>, Entry>,
    /// Trees, by their folder: changes in them.
    pub trees: BTreeMap<Vec<u8>, u64>,
    /// Changes that found no room.
    pub more: u64,
    objects: HashMap<Inode, Known>,
    /// The names that some kind names, and the others, by depth.
    named: BTreeSet<(usize, Vec<u8>)>,
    plain: BTreeSet<(usize, Vec<u8>)>,
}

impl Found {
    /// Takes note of what was done.
    pub fn note(&mut self, kinds: &Kinds, change: Change) {
        match change {
            Change::At { path, how, object } => self.at(kinds, path, how, object),
            Change::Linked { from, to, object } => {
                self.see(kinds, from, object);
                self.put(kinds, to, Entry { how: LINKED, object, named: false });
            }
            Change::Moved { from, to, object, exchange } => self.moved(kinds, &from, to, object, exchange),
            Change::Gone { path } => drop(self.forget(&path)),
        }
    }

    /// Objects that were changed and have, or may have, names besides those at which they were.
    pub fn changed_objects(&self) -> impl Iterator<Item = Inode> {
        self.objects.iter().filter(|(_, known)| known.changed).map(|(object, _)| *object)
    }

    /// Whether what lies at this name was put there, or changed by whatever name, by the session.
    pub fn has_changed(&self, path: &[u8]) -> bool {
        let object = || {
            let there = std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path))).ok()?;
            self.objects.get(&Inode { device: there.dev(), number: there.ino() })
        };
        self.names.get(path).is_some_and(|entry| entry.how != 0) || object().is_some_and(|known| known.changed)
    }

    /// Whether some changed object may have a name that nobody has seen.
    pub fn has_unseen_names(&self) -> bool {
        self.objects.values().any(|known| known.changed && known.others)
    }

    fn at(&mut self, kinds: &Kinds, path: Vec<u8>, how: u8, object: Option<Inode>) {
        if how == MADE {
            self.forget(&path); // whatever was there before is not there any more
        }
        if let Some(object) = object.filter(|_| how == CHANGED) {
            let was_looked_at = self.names.get(&path).is_some_and(|entry| entry.how & (MADE | CHANGED) != 0);
            if let Some(known) = self.objects.get_mut(&object) {
                known.changed = true;
            } else if !was_looked_at && may_have_more_than(&path, object, 1) {
                let known = self.know(object);
                (known.changed, known.others) = (true, true);
            }
        }
        self.put(kinds, path, Entry { how, object, named: false });
    }

    /// A name that was not changed, of an object that was or may be.
    fn see(&mut self, kinds: &Kinds, path: Vec<u8>, object: Option<Inode>) {
        if let Some(object) = object.filter(|object| !self.objects.contains_key(object)) {
            let names = u32::from(self.names.get(&path).is_some_and(|entry| entry.object == Some(object)));
            let others = may_have_more_than(&path, object, 2);
            *self.know(object) = Known { names, changed: false, others };
        }
        self.put(kinds, path, Entry { how: 0, object, named: false });
    }

    fn moved(&mut self, kinds: &Kinds, from: &[u8], to: Vec<u8>, object: Option<Inode>, exchange: bool) {
        let (taken, below) = (self.forget(from), self.take_below(from));
        let (there, there_below) = if exchange { (self.forget(&to), self.take_below(&to)) } else { (None, Vec::new()) };
        self.arrive(kinds, from, &to, known_as(taken, object), below);
        if exchange {
            self.arrive(kinds, &to, from, there.unwrap_or_default(), there_below);
        } else if let Some(changes) = self.trees.remove(from) {
            self.trees.insert(to, changes);
        }
    }

    fn arrive(&mut self, kinds: &Kinds, from: &[u8], to: &[u8], entry: Entry, below: Vec<(Vec<u8>, Entry)>) {
        self.forget(to);
        self.put(kinds, to.to_vec(), Entry { how: entry.how | MOVED, ..entry });
        for (path, entry) in below {
            let rest = path.get(from.len()..).unwrap_or_default();
            self.put(kinds, [to, rest].concat(), Entry { how: entry.how | MOVED, ..entry });
        }
    }

    fn take_below(&mut self, path: &[u8]) -> Vec<(Vec<u8>, Entry)> {
        let start = [path, b"/"].concat();
        let below = self.names.range::<[u8], _>((Bound::Included(start.as_slice()), Bound::Unbounded));
        let paths: Vec<Vec<u8>> = below.take_while(|(name, _)| is_at_or_below(name, path)).map(|(name, _)| name.clone()).collect();
        paths.into_iter().filter_map(|path| self.forget(&path).map(|entry| (path, entry))).collect()
    }

    fn put(&mut self, kinds: &Kinds, path: Vec<u8>, new: Entry) {
        if let Some(entry) = self.names.get_mut(&path) {
            entry.how |= new.how;
            let bound = entry.object.is_none().then_some(new.object).flatten();
            entry.object = entry.object.or(new.object);
            if let Some(object) = bound {
                self.count(object);
            }
            return;
        }
        let urgent = kinds.names_in_trees(&path);
        let several = new.object.is_some_and(|object| self.objects.contains_key(&object));
        if let Some(end) = kinds.tree_of(&path).filter(|_| !urgent) {
            self.in_tree(path.get(..end).unwrap_or_default());
            if !several && end < path.len() {
                return;
            }
        }
        let named = urgent || kinds.names(&path);
        if self.has_room(&path, named) {
            if let Some(object) = new.object {
                self.count(object);
            }
            self.order(named).insert((depth(&path), path.clone()));
            self.names.insert(path, Entry { named, ..new });
        }
    }

    fn order(&mut self, named: bool) -> &mut BTreeSet<(usize, Vec<u8>)> {
        if named { &mut self.named } else { &mut self.plain }
    }

    fn in_tree(&mut self, root: &[u8]) {
        if let Some(changes) = self.trees.get_mut(root) {
            *changes += 1;
        } else if self.trees.len() < TREES_MAX {
            self.trees.insert(root.to_vec(), 1);
        } else {
            self.more += 1;
        }
    }

    /// Room for one more name: what is gone makes place first, then what lies deepest, which is counted.
    fn has_room(&mut self, path: &[u8], named: bool) -> bool {
        let max = if named { NAMED_MAX } else { PLAIN_MAX };
        if self.order(named).len() < max {
            return true;
        }
        if self.more % BURIALS_EVERY == 0 {
            self.bury(named);
        }
        if self.order(named).len() < max {
            return true;
        }
        self.more += 1;
        let deepest = self.order(named).last().filter(|(deepest, _)| *deepest > depth(path)).map(|(_, path)| path.clone());
        deepest.is_some_and(|deepest| self.forget(&deepest).is_some())
    }

    /// Forgets names at which nothing is any more.
    fn bury(&mut self, named: bool) {
        let is_nothing = |error: std::io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        let dead = |path: &[u8]| std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path))).is_err_and(is_nothing);
        let paths: Vec<Vec<u8>> =
            self.names.iter().filter(|(path, entry)| entry.named == named && dead(path)).map(|(path, _)| path.clone()).collect();
        for path in paths {
            self.forget(&path);
        }
    }

    /// A name dies. An object of which no name is left dies with it, unless it has others.
    fn forget(&mut self, path: &[u8]) -> Option<Entry> {
        let entry = self.names.remove(path)?;
        self.order(entry.named).remove(&(depth(path), path.to_vec()));
        if let Some(object) = entry.object {
            if let Some(known) = self.objects.get_mut(&object) {
                known.names = known.names.saturating_sub(1);
                if known.names == 0 && !(known.changed && known.others) {
                    self.objects.remove(&object);
                }
            }
        }
        Some(entry)
    }

    fn know(&mut self, object: Inode) -> &mut Known {
        if self.objects.len() >= OBJECTS_MAX && !self.objects.contains_key(&object) {
            if self.more % BURIALS_EVERY == 0 {
                self.objects.retain(|_, known| known.names > 0 || (known.changed && known.others));
            }
            self.more += 1;
        }
        self.objects.entry(object).or_default()
    }

    fn count(&mut self, object: Inode) {
        if let Some(known) = self.objects.get_mut(&object) {
            known.names += 1;
        }
    }
}

fn known_as(entry: Option<Entry>, object: Option<Inode>) -> Entry {
    let entry = entry.unwrap_or_default();
    Entry { object: entry.object.or(object), ..entry }
}

fn depth(path: &[u8]) -> usize {
    path.iter().filter(|byte| **byte == b'/').count()
}

/// Whether an object has more names than so many; what is no longer there may have.
fn may_have_more_than(path: &[u8], object: Inode, names: u64) -> bool {
    match std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path))) {
        Ok(there) if there.dev() == object.device && there.ino() == object.number => !there.is_dir() && there.nlink() > names,
        _ => true,
    }
}
