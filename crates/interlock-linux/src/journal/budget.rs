//! How much of before is kept: bytes on disk, of which what builds and package clients make again has half.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Of the file system's free room, what a session may take.
const FREE_SHARE: u64 = 2;

/// What something is, for its share of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody's work.
    Plain,
    /// Made by builds and package clients, who make it again.
    Derived,
}

/// The room that is left.
pub struct Budget {
    bytes: u64,
    taken: AtomicU64,
    derived: AtomicU64,
    told: [AtomicBool; 2],
}

/// There is no room.
#[derive(Debug)]
pub struct Spent<'a> {
    told: &'a AtomicBool,
    what: &'static str,
    bytes: u64,
}

impl Spent<'_> {
    /// Why, where it was not told yet.
    pub fn first_time(self) -> Option<String> {
        (!self.told.swap(true, Ordering::AcqRel)).then(|| format!("{} ({} bytes)", self.what, self.bytes))
    }
}

impl Budget {
    /// So many bytes, and no more than half of what is free.
    pub fn of(bytes: u64, free: u64) -> Self {
        let told = [AtomicBool::new(false), AtomicBool::new(false)];
        Self { bytes: bytes.min(free / FREE_SHARE), taken: AtomicU64::new(0), derived: AtomicU64::new(0), told }
    }

    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes room.
    ///
    /// # Errors
    /// [`Spent`].
    pub fn take(&self, class: Class, size: u64) -> Result<(), Spent<'_>> {
        let derived = match class {
            Class::Derived => self.derived.fetch_add(size, Ordering::AcqRel).saturating_add(size),
            Class::Plain => 0,
        };
        let taken = self.taken.fetch_add(size, Ordering::AcqRel).saturating_add(size);
        let [plain_told, derived_told] = &self.told;
        let (is_spent, told, what) = if taken > self.bytes {
            (true, plain_told, "from here on what is changed or taken away is not kept: the journal's room is used up")
        } else {
            (
                derived > self.bytes / 2,
                derived_told,
                "of what builds and package clients make nothing more is kept: their half of the journal's room is used up",
            )
        };
        if !is_spent {
            return Ok(());
        }
        self.give_back(class, size);
        Err(Spent { told, what, bytes: self.bytes })
    }

    /// All that was taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// What was taken was not needed.
    pub fn give_back(&self, class: Class, size: u64) {
        self.taken.fetch_sub(size, Ordering::AcqRel);
        if class == Class::Derived {
            self.derived.fetch_sub(size, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_again_has_half_and_is_told_once() {
        let budget = Budget::of(100, 1000);
        budget.take(Class::Derived, 50).unwrap();
        assert!(budget.take(Class::Derived, 1).unwrap_err().first_time().is_some());
        assert!(budget.take(Class::Derived, 1).unwrap_err().first_time().is_none());
        budget.take(Class::Plain, 50).unwrap();
        assert!(budget.take(Class::Plain, 1).unwrap_err().first_time().is_some());
        budget.give_back(Class::Plain, 1);
        budget.take(Class::Plain, 1).unwrap();
    }

    #[test]
    fn no_more_than_half_of_what_is_free_is_taken() {
        let budget = Budget::of(u64::MAX, 10);
        budget.take(Class::Plain, 5).unwrap();
        budget.take(Class::Plain, 1).unwrap_err();
    }
}
