//! What commits had at a path.

use crate::anchors::Anchors;
use crate::id::{Format, Id};
use crate::object::{Kind, Object};
use crate::patience::GoesOn;
use crate::revision::Revisions;
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Tags that name tags.
const TAGS_MAX: usize = 8;
/// Folders in a path.
const DEPTH_MAX: usize = 256;

/// What stands at a path in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A file with this content.
    File(Id),
    /// A symlink that says this.
    Link(Id),
    /// A folder.
    Folder(Id),
}

impl Entry {
    fn id(&self) -> Id {
        match self {
            Self::File(id) | Self::Link(id) | Self::Folder(id) => *id,
        }
    }
}

/// Whether a file with this content is one of these.
#[must_use]
pub fn has_file(entries: &BTreeSet<Entry>, content: &[u8]) -> bool {
    formats(entries).any(|format| entries.contains(&Entry::File(Id::of_blob(format, content))))
}

/// Whether a symlink that says this is one of these.
#[must_use]
pub fn has_link(entries: &BTreeSet<Entry>, content: &[u8]) -> bool {
    formats(entries).any(|format| entries.contains(&Entry::Link(Id::of_blob(format, content))))
}

/// The formats of their ids: what a path had in a repository has one, and in several may have both.
fn formats(entries: &BTreeSet<Entry>) -> impl Iterator<Item = Format> {
    entries.iter().map(|entry| entry.id().format()).collect::<BTreeSet<_>>().into_iter()
}

/// The commits of a repository that count, and its objects.
#[derive(Debug, Default)]
pub struct Past {
    store: Store,
    anchors: Anchors,
    revisions: Revisions,
    /// The tree of each of those commits that was read.
    known: Mutex<BTreeMap<Id, Option<Id>>>,
    /// The distinct trees of all of them, once they were read.
    trees: OnceLock<BTreeSet<Id>>,
}

impl Past {
    /// Of the commits that `anchors` names.
    #[must_use]
    pub fn new(store: Store, anchors: Anchors) -> Self {
        Self { store, anchors, ..Self::default() }
    }

    /// The same, of a repository whose references are looked at as they are by then.
    #[must_use]
    pub fn with(self, revisions: Revisions) -> Self {
        Self { revisions, ..self }
    }

    /// What the repository's references name now.
    #[must_use]
    pub fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    /// Whether it is one of the commits that count.
    #[must_use]
    pub fn counts(&self, commit: &Id) -> bool {
        self.anchors.0.contains(commit)
    }

    /// The commit that this one was made upon.
    #[must_use]
    pub fn parent_of(&self, commit: Id, goes_on: GoesOn<'_>) -> Option<Id> {
        let object = self.store.read(&commit, goes_on)?;
        let line = object.content.split(|byte| *byte == b'\n').nth(1)?;
        Id::parse(line.strip_prefix(b"parent ").filter(|_| object.kind == Kind::Commit)?)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// All that stood at `path`, which is relative to the repository's top. `None`: there was no time to read it all. What was learnt of commits is
    /// kept for the next question.
    #[must_use]
    pub fn at(&self, path: &[u8], goes_on: GoesOn<'_>) -> Option<BTreeSet<Entry>> {
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        if names.len() > DEPTH_MAX || names.iter().any(|name| name.is_empty()) {
            return Some(BTreeSet::new());
        }
        let mut level: BTreeSet<Entry> = self.trees(goes_on)?.iter().map(|tree| Entry::Folder(*tree)).collect();
        // Folders that many commits share are read once.
        for name in names {
            let folders = level.iter().filter_map(|entry| if let Entry::Folder(tree) = entry { Some(tree) } else { None });
            level = folders.filter_map(|tree| entry(&self.store.read(tree, goes_on)?, tree.format(), name)).collect();
            if !goes_on() {
                return None;
            }
        }
        Some(level)
    }

    fn trees(&self, goes_on: GoesOn<'_>) -> Option<&BTreeSet<Id>> {
        if let Some(trees) = self.trees.get() {
            return Some(trees);
        }
        // Nobody waits for another's reading: who is first with a commit notes it for all.
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for anchor in &self.anchors.0 {
            let is_known = known().contains_key(anchor);
            if !is_known {
                let tree = self.tree_of(*anchor, goes_on);
                // What was not found may only have been cut short.
                if tree.is_none() && !goes_on() {
                    return None;
                }
                known().insert(*anchor, tree);
            }
        }
        let trees = known().values().flatten().copied().collect();
        Some(self.trees.get_or_init(|| trees))
    }

    pub(crate) fn tree_of(&self, anchor: Id, goes_on: GoesOn<'_>) -> Option<Id> {
        let mut id = anchor;
        for _ in 0..TAGS_MAX {
            let object = self.store.read(&id, goes_on)?;
            match object.kind {
                Kind::Commit => return named(&object, b"tree "),
                Kind::Tag => id = named(&object, b"object ")?,
                Kind::Tree => return Some(id),
                Kind::Blob => return None,
            }
        }
        None
    }
}

/// The id on the first line, behind its keyword.
fn named(object: &Object, keyword: &[u8]) -> Option<Id> {
    Id::parse(object.content.split(|byte| *byte == b'\n').next()?.strip_prefix(keyword)?)
}

/// What a folder has by this name.
fn entry(tree: &Object, format: Format, wanted: &[u8]) -> Option<Entry> {
    if tree.kind != Kind::Tree {
        return None;
    }
    let mut rest = tree.content.as_slice();
    while !rest.is_empty() {
        let (name, entry, after) = first(rest, format)?;
        if name == wanted {
            return entry;
        }
        rest = after;
    }
    None
}

/// All that a folder has, but for repositories within it. `None`: it cannot be understood.
pub(crate) fn entries(tree: &Object, format: Format) -> Option<BTreeMap<Vec<u8>, Entry>> {
    let (mut rest, mut found) = (tree.content.as_slice(), BTreeMap::new());
    while !rest.is_empty() {
        let (name, entry, after) = first(rest, format)?;
        found.extend(entry.map(|entry| (name.to_vec(), entry)));
        rest = after;
    }
    Some(found)
}

/// `MODE NAME\0ID`, and what follows. A repository is no entry.
fn first(content: &[u8], format: Format) -> Option<(&[u8], Option<Entry>, &[u8])> {
    let space = content.iter().position(|byte| *byte == b' ')?;
    let (mode, after) = (content.get(..space)?, content.get(space + 1..)?);
    let end = after.iter().position(|byte| *byte == 0)?;
    let (name, id) = (after.get(..end)?, after.get(end + 1..end + 1 + format.bytes())?);
    let id = Id::of_bytes(format, id)?;
    let entry = match mode {
        b"40000" => Some(Entry::Folder(id)),
        b"120000" => Some(Entry::Link(id)),
        _ if mode.starts_with(b"100") => Some(Entry::File(id)),
        _ => None,
    };
    Some((name, entry, after.get(end + 1 + format.bytes()..)?))
}
