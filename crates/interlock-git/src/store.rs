//! Where a repository keeps its objects: loose, in packs, and in other repositories that it borrows from.

use crate::file;
use crate::id::Id;
use crate::object::{OBJECT_BYTES_MAX, Object};
use crate::pack::Pack;
use crate::patience::GoesOn;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// Packs of one object directory.
const PACKS_MAX: usize = 1_024;
/// Borrowed bases of deltas upon one another.
const DEPTH_MAX: usize = 16;
/// Objects read for one question, bases of deltas among them: an index of packs may say of any pack that an object is in it.
const READS_MAX: usize = 64;

/// The object directories, the repository's own first. Packs are looked for at each question: git repacks at any time.
#[derive(Clone, Debug, Default)]
pub struct Store(Vec<PathBuf>);

impl Store {
    /// Of these object directories.
    #[must_use]
    pub fn of(directories: Vec<PathBuf>) -> Self {
        Self(directories)
    }

    /// The object with this id, if it is there and is what its id says, and was found in time.
    #[must_use]
    pub fn read(&self, id: &Id, goes_on: GoesOn<'_>) -> Option<Object> {
        self.read_within(id, 0, &Cell::new(READS_MAX), goes_on)
    }

    fn read_within(&self, id: &Id, depth: usize, left: &Cell<usize>, goes_on: GoesOn<'_>) -> Option<Object> {
        if depth > DEPTH_MAX || !goes_on() {
            return None;
        }
        left.set(left.get().checked_sub(1)?);
        let named = |base: &Id| self.read_within(base, depth + 1, left, goes_on);
        self.0.iter().find_map(|objects| loose(objects, id).or_else(|| packed(objects, id, &named, goes_on)))?.verified(id)
    }
}

fn loose(objects: &Path, id: &Id) -> Option<Object> {
    let hex = id.hex();
    let (folder, name) = hex.split_at_checked(2)?;
    Object::loose(&file::read(&objects.join(folder).join(name), OBJECT_BYTES_MAX as u64)?)
}

fn packed(objects: &Path, id: &Id, named: &dyn Fn(&Id) -> Option<Object>, goes_on: GoesOn<'_>) -> Option<Object> {
    let entries = std::fs::read_dir(objects.join("pack")).ok()?;
    let entries = entries.flatten().take_while(|_| goes_on());
    let indices = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|kind| kind == "idx"));
    indices.take(PACKS_MAX).find_map(|index| {
        let pack = Pack::open(&index)?;
        pack.read(pack.find(id)?, id.format(), named, goes_on)
    })
}
