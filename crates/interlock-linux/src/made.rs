//! Creation bookkeeping: which objects came into being through this session's door. Missing means `before`.
//!
//! An inode number may be used again after its object is gone; the door forgets what it deletes. What somebody outside deletes and makes again
//! under the same number in between is taken for ours: birth times lie on too many file systems to tell.

use interlock_core::facts::Origin;
use interlock_core::target::Inode;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Objects remembered; past it nothing more is noted, so later ones count as `before`.
const OBJECTS_MAX: usize = 1 << 20;

/// The objects this session made.
#[derive(Default)]
pub struct Made(Mutex<HashSet<Inode>>);

impl Made {
    /// Remembers an object.
    pub fn note(&self, object: Inode) {
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() < OBJECTS_MAX {
            objects.insert(object);
        }
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, object: Inode) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&object);
    }

    /// Whether this session made it.
    #[must_use]
    pub fn origin(&self, object: Inode) -> Origin {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&object);
        if made { Origin::Session } else { Origin::Before }
    }
}
