//! Reads that policy allows without Facts and that are only counted, remembered by name and object: an agent's work reads the same files over
//! and over, and what the Plan said of one it says again.
//!
//! INVARIANT: an entry is what the Plan answers to (read, name, object): other names follow from the name, since mounts are read once.
//! Left out: everything that is recorded, asked about, denied, or needs Facts.

use interlock_core::action::Inode;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Parts, so that receivers seldom wait for one another, and names kept in each; a full part is forgotten whole.
const PARTS: usize = 8;
const NAMES_MAX: usize = 4096;
/// Longer names are decided each time.
const NAME_BYTES_MAX: usize = 1024;

type Part = Mutex<HashMap<Box<[u8]>, Entry>>;

/// What is remembered.
#[derive(Default)]
pub struct Routine {
    hash: RandomState,
    parts: [Part; PARTS],
}

#[derive(Clone)]
struct Entry {
    object: Inode,
    rule: Arc<str>,
}

impl Routine {
    fn part(&self, name: &[u8]) -> Option<&Part> {
        self.parts.get(self.hash.hash_one(name) as usize % PARTS)
    }

    /// The rule by which this may be read, if it was noted.
    pub fn rule(&self, name: &[u8], object: Inode) -> Option<Arc<str>> {
        let part = self.part(name)?.lock().unwrap_or_else(PoisonError::into_inner);
        part.get(name).filter(|entry| entry.object == object).map(|entry| Arc::clone(&entry.rule))
    }

    /// Notes the rule by which this may be read.
    pub fn note(&self, name: &[u8], object: Inode, rule: &str) {
        let Some(part) = self.part(name).filter(|_| name.len() <= NAME_BYTES_MAX) else { return };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        if part.len() >= NAMES_MAX {
            part.clear();
        }
        part.insert(name.into(), Entry { object, rule: rule.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Inode = Inode { device: 1, number: 1 };
    const OTHER: Inode = Inode { device: 1, number: 2 };

    #[test]
    fn only_the_same_name_of_the_same_object_is_known() {
        let routine = Routine::default();
        routine.note(b"/w/a", ONE, "p/rule");
        assert_eq!(routine.rule(b"/w/a", ONE).as_deref(), Some("p/rule"));
        assert_eq!(routine.rule(b"/w/a", OTHER), None);
        assert_eq!(routine.rule(b"/w/b", ONE), None);
    }

    #[test]
    fn memory_is_bounded() {
        let routine = Routine::default();
        for number in 0..PARTS * NAMES_MAX * 2 {
            routine.note(format!("/w/{number}").as_bytes(), ONE, "p/rule");
        }
        let kept: usize = routine.parts.iter().map(|part| part.lock().map_or(0, |part| part.len())).sum();
        assert!(kept <= PARTS * NAMES_MAX && kept > 0);
        routine.note(&[b'x'; NAME_BYTES_MAX + 1], ONE, "p/rule");
        assert_eq!(routine.rule(&[b'x'; NAME_BYTES_MAX + 1], ONE), None);
    }
}
