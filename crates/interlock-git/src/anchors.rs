//! The commits that a repository names: its head and where that was before, its branches, tags and what it knows of others.
//!
//! Read once, when a session begins. Whatever is named later is not among them.

use crate::file;
use crate::id::Id;
use std::collections::BTreeSet;
use std::path::Path;

/// Commits taken; the head and what it was before come first.
const ANCHORS_MAX: usize = 4_096;
/// Lines taken of where the head was before, the last ones.
const REFLOG_LINES_MAX: usize = 1_024;
/// Bytes of a file that names commits.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Folders within one another below `refs`.
const DEPTH_MAX: usize = 16;
/// Names looked at there, whatever they hold.
const NAMES_MAX: usize = 65_536;

/// Ids of commits and of tags that name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchors(pub(crate) BTreeSet<Id>);

impl Anchors {
    /// Of a git directory and the common one (the same, but for a linked worktree).
    #[must_use]
    pub fn read(git: &Path, common: &Path) -> Self {
        let mut found = Self::default();
        for directory in [git, common] {
            found.take(heads(directory));
            found.take(reflog(&directory.join("logs/HEAD")));
        }
        found.take(packed(&common.join("packed-refs")));
        for directory in [git, common] {
            let (mut loose, mut names_left) = (Vec::new(), NAMES_MAX);
            below(&directory.join("refs"), 0, &mut names_left, &mut loose);
            found.take(loose);
        }
        found
    }

    fn take(&mut self, ids: impl IntoIterator<Item = Id>) {
        for id in ids {
            if self.0.len() < ANCHORS_MAX {
                self.0.insert(id);
            }
        }
    }
}

/// The head, where it names a commit itself, and what git keeps beside it.
fn heads(git: &Path) -> Vec<Id> {
    ["HEAD", "ORIG_HEAD"].iter().filter_map(|name| reference(&git.join(name))).collect()
}

fn reference(path: &Path) -> Option<Id> {
    Id::parse(file::read(path, 4_096)?.trim_ascii())
}

/// `OLD NEW WHO WHEN\tWHAT` a line.
fn reflog(path: &Path) -> Vec<Id> {
    let Some(text) = file::read(path, FILE_BYTES_MAX) else { return Vec::new() };
    let lines = text.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(REFLOG_LINES_MAX);
    lines.flat_map(|line| line.splitn(3, |byte| *byte == b' ').take(2).filter_map(Id::parse).collect::<Vec<_>>()).collect()
}

/// `ID NAME` a line, and `^ID` for what the tag above it names.
fn packed(path: &Path) -> Vec<Id> {
    let Some(text) = file::read(path, FILE_BYTES_MAX) else { return Vec::new() };
    let lines =
        text.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"^").unwrap_or(line).split(|byte| *byte == b' ').next());
    lines.filter_map(Id::parse).take(ANCHORS_MAX).collect()
}

fn below(folder: &Path, depth: usize, names_left: &mut usize, found: &mut Vec<Id>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if found.len() >= ANCHORS_MAX || *names_left == 0 {
            return;
        }
        *names_left -= 1;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => below(&entry.path(), depth + 1, names_left, found),
            Ok(kind) if kind.is_file() => found.extend(reference(&entry.path())),
            _ => {}
        }
    }
}
