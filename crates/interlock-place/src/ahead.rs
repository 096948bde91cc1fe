//! A walk begun before it is known which patterns it is for: what the folders of the last walk of a workspace are like now is asked meanwhile.
//!
//! RULE: it is used only for the walk whose file it read; for any other it was for nothing.

use crate::kept::{Kept, Mark};
use crate::tree::{marks, real};
use interlock_core::digest;
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

/// How much of a workspace's digest its walks' files are named by.
const PREFIX: usize = 32;

/// A walk that was begun.
pub struct Begun(JoinHandle<Option<Asked>>);

struct Asked {
    file: PathBuf,
    before: Kept,
    now: Vec<Mark>,
}

impl Begun {
    /// Begins to walk `workspace` below `root` (empty for the machine itself), of which walks are kept in `kept`. Nothing where no thread is to be
    /// had.
    pub fn of(workspace: &str, root: &Path, kept: &Path) -> Option<Self> {
        let (workspace, kept) = (workspace.as_bytes().to_vec(), kept.to_path_buf());
        let root = if root.as_os_str().is_empty() { PathBuf::from("/") } else { root.to_path_buf() };
        Builder::new().name("walk".into()).spawn(move || asked(&workspace, &root, &kept)).ok().map(Self)
    }

    /// The walk that this file kept and what its folders are like now; nothing where it was begun for another one.
    pub(crate) fn taken(self, file: &Path) -> Option<(Kept, Vec<Mark>)> {
        let asked = self.0.join().ok().flatten()?;
        (asked.file == file).then_some((asked.before, asked.now))
    }
}

/// What the files of a workspace's walks begin with.
pub(crate) fn prefix(workspace: &[u8]) -> String {
    let whole = digest::hex(workspace);
    format!("walk-{}-", whole.get(..PREFIX).unwrap_or(&whole))
}

fn asked(workspace: &[u8], root: &Path, kept: &Path) -> Option<Asked> {
    let file = newest(kept, &prefix(workspace))?;
    let held = fs::File::open(real(root, workspace)).ok()?;
    let before = Kept::read(&file);
    let now = marks(held.as_fd(), &before);
    Some(Asked { file, before, now })
}

/// The last one written of those whose names begin so.
fn newest(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let walks = fs::read_dir(folder).ok()?.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()));
    walks.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).max().map(|(_, path)| path)
}
