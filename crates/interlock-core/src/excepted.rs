//! What a rule leaves out of the names that its patterns match: names by themselves (`except`), and what a pattern comes to match within a folder
//! (`except_within`).
//!
//! The two differ where a folder of the one kind lies in a folder of the other. In `tree/pkg/.tool/x` the pattern `**/.tool/**` begins to match in
//! `tree/pkg`, so whoever excepts what is within `tree` excepts it. In `.tool/tree/x` it has begun before `tree`: who makes a folder of that
//! name there has excepted nothing.

use crate::pattern::Pattern;
use crate::patterns::Patterns;

/// What a rule leaves out.
#[derive(Clone, Debug, Default)]
pub struct Excepted {
    /// Names, however they came to be matched.
    pub names: Patterns,
    /// Folders in which no match begins.
    pub within: Patterns,
}

impl Excepted {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.within.is_empty()
    }

    /// Whether this name is left out, however it is matched.
    pub fn names(&self, name: &[u8]) -> bool {
        self.names.matches(name)
    }

    /// Whether this name, which the pattern matches, is left out.
    pub fn matched(&self, pattern: &Pattern, name: &[u8]) -> bool {
        self.names(name) || self.begun(pattern.begins_in(name))
    }

    /// The same of a name that stands on the way to what the pattern matches: what lies below it is left out.
    pub fn on_the_way(&self, pattern: &Pattern, name: &[u8]) -> bool {
        self.names(name) || self.begun(pattern.begins_towards(name))
    }

    fn begun(&self, folder: Option<&[u8]>) -> bool {
        folder.is_some_and(|folder| self.within.matches(folder))
    }
}
