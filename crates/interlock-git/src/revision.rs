//! Which commit a word names now (gitrevisions(7)): an id in full, or a reference by its name or the end of it.
//!
//! Left out: what is counted from a commit (`main~2`, `@{1}`), short ids, and reference tables.

use crate::file;
use crate::id::Id;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// References that name references.
const SYMBOLIC_MAX: usize = 5;
/// Bytes of one reference, and of all that are packed.
const REFERENCE_BYTES_MAX: u64 = 64 << 10;
const PACKED_BYTES_MAX: u64 = 16 << 20;
/// Where a name is looked for, in git's order: before it, and after it.
const PLACES: [(&str, &str); 6] =
    [("", ""), ("refs/", ""), ("refs/tags/", ""), ("refs/heads/", ""), ("refs/remotes/", ""), ("refs/remotes/", "/HEAD")];

/// Where a repository keeps its references.
#[derive(Clone, Debug, Default)]
pub struct Revisions {
    git: PathBuf,
    common: PathBuf,
}

impl Revisions {
    /// Of a git directory and the common one (the same, but for a linked worktree).
    #[must_use]
    pub fn of(git: &Path, common: &Path) -> Self {
        Self { git: git.to_owned(), common: common.to_owned() }
    }

    /// The git directory.
    #[must_use]
    pub fn git(&self) -> &Path {
        &self.git
    }

    /// What a word names.
    #[must_use]
    pub fn find(&self, word: &[u8]) -> Option<Id> {
        Id::parse(word)
            .or_else(|| PLACES.iter().find_map(|(before, after)| self.named(&[before.as_bytes(), word, after.as_bytes()].concat(), 0)))
    }

    fn named(&self, name: &[u8], depth: usize) -> Option<Id> {
        if depth > SYMBOLIC_MAX || !is_name(name) {
            return None;
        }
        let loose = |folder: &PathBuf| file::read(&folder.join(OsStr::from_bytes(name)), REFERENCE_BYTES_MAX);
        let Some(text) = loose(&self.git).or_else(|| loose(&self.common)) else { return self.packed(name) };
        match text.strip_prefix(b"ref:") {
            Some(other) => self.named(other.trim_ascii(), depth + 1),
            // FETCH_HEAD has more behind the id, and more lines.
            None => Id::parse(text.split(|byte| byte.is_ascii_whitespace()).next()?),
        }
    }

    fn packed(&self, name: &[u8]) -> Option<Id> {
        let text = file::read(&self.common.join("packed-refs"), PACKED_BYTES_MAX)?;
        let mut lines = text.split(|byte| *byte == b'\n');
        lines.find_map(|line| Id::parse(line.strip_suffix(name)?.strip_suffix(b" ")?))
    }
}

/// Whether it stays below the git directory (git-check-ref-format(1)).
fn is_name(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/').all(|part| !part.is_empty() && !part.starts_with(b".") && !part.contains(&0))
}
