//! What stands in one commit and not, or otherwise, in another: of files and links, by path.

use crate::id::Id;
use crate::object::Kind;
use crate::patience::GoesOn;
use crate::tree::{Entry, Past, entries};
use std::collections::BTreeMap;

/// Trees read for one answer, and their bytes.
const TREES_MAX: usize = 512;
const BYTES_MAX: usize = 8 << 20;
/// A path that a file can have (PATH_MAX).
const PATH_BYTES_MAX: usize = 4096;
/// Folders within one another.
const DEPTH_MAX: usize = 64;

/// A walk of two trees at once.
struct Walk<'p> {
    past: &'p Past,
    trees_left: usize,
    bytes_left: usize,
    found: Vec<(Vec<u8>, Entry)>,
    goes_on: GoesOn<'p>,
}

/// All that `to` has and `from` has not so, each a commit or nothing. `None`: it is too much, not all of it can be read, or `goes_on` says no, which
/// is asked before each tree.
#[must_use]
pub fn brought(past: &Past, from: Option<Id>, to: Id, goes_on: GoesOn<'_>) -> Option<Vec<(Vec<u8>, Entry)>> {
    let mut walk = Walk { past, trees_left: TREES_MAX, bytes_left: BYTES_MAX, found: Vec::new(), goes_on };
    let from = match from {
        Some(commit) => Some(past.tree_of(commit, goes_on)?),
        None => None,
    };
    walk.below(&[], from, past.tree_of(to, goes_on)?, 0)?;
    Some(walk.found)
}

impl Walk<'_> {
    fn below(&mut self, path: &[u8], from: Option<Id>, to: Id, depth: usize) -> Option<()> {
        if from == Some(to) {
            return Some(());
        }
        if depth > DEPTH_MAX {
            return None;
        }
        let before = match from {
            Some(tree) => self.read(tree)?,
            None => BTreeMap::new(),
        };
        for (name, entry) in self.read(to)? {
            let had = before.get(&name);
            if had == Some(&entry) {
                continue;
            }
            let length = path.len() + 1 + name.len();
            if length > PATH_BYTES_MAX {
                return None;
            }
            self.bytes_left = self.bytes_left.checked_sub(length)?;
            let name = if path.is_empty() { name } else { [path, b"/", &name].concat() };
            match (entry, had) {
                (Entry::Folder(tree), Some(Entry::Folder(had))) => self.below(&name, Some(*had), tree, depth + 1)?,
                (Entry::Folder(tree), _) => self.below(&name, None, tree, depth + 1)?,
                _ => self.found.push((name, entry)),
            }
        }
        Some(())
    }

    fn read(&mut self, tree: Id) -> Option<BTreeMap<Vec<u8>, Entry>> {
        self.trees_left = self.trees_left.checked_sub(1).filter(|_| (self.goes_on)())?;
        let object = self.past.store().read(&tree, self.goes_on)?;
        self.bytes_left = self.bytes_left.checked_sub(object.content.len())?;
        (object.kind == Kind::Tree).then(|| entries(&object, tree.format()))?
    }
}
