//! What the machine says of names: each is asked about once in a load, and nothing below one that is not there.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Names below a root, as far as they were asked about. A path is absolute and clean.
pub(crate) struct Names {
    root: PathBuf,
    known: HashMap<Vec<u8>, Known>,
}

/// What is known of a name.
#[derive(Clone)]
pub(crate) struct Known {
    /// lstat(2); nothing when there is no such name, or it cannot be reached.
    pub status: Option<Metadata>,
    /// Whether it or a name above it is a symbolic link.
    pub passes_a_link: bool,
}

impl Names {
    /// An empty root is the machine's own.
    pub fn below(root: PathBuf) -> Self {
        Self { root: if root.as_os_str().is_empty() { PathBuf::from("/") } else { root }, known: HashMap::with_capacity(2048) }
    }

    /// What there is at a path.
    pub fn at(&mut self, path: &[u8]) -> Known {
        if let Some(known) = self.known.get(path) {
            return known.clone();
        }
        let (is_there, is_below_a_link) = match above(path) {
            None => (true, false),
            Some(above) => {
                let above = self.at(above);
                (above.status.is_some(), above.passes_a_link)
            }
        };
        let status = if is_there { self.status(path) } else { None };
        let passes_a_link = is_below_a_link || status.as_ref().is_some_and(Metadata::is_symlink);
        let known = Known { status, passes_a_link };
        self.known.insert(path.to_vec(), known.clone());
        known
    }

    /// Where a symbolic link leads; nothing when it is none.
    pub fn target(&self, path: &[u8]) -> Option<Vec<u8>> {
        fs::read_link(self.real(path)).ok().map(|target| target.into_os_string().into_vec())
    }

    /// Names in a directory with whether each is a directory itself, links not followed; nothing if it cannot be read.
    pub fn entries(&self, path: &[u8]) -> impl Iterator<Item = (Vec<u8>, bool)> + use<> {
        let entries = fs::read_dir(self.real(path)).into_iter().flatten().flatten();
        entries.map(|entry| (entry.file_name().into_vec(), entry.file_type().is_ok_and(|kind| kind.is_dir())))
    }

    /// lstat(2) of a name that will not be asked about again.
    pub fn status(&self, path: &[u8]) -> Option<Metadata> {
        fs::symlink_metadata(self.real(path)).ok()
    }

    fn real(&self, path: &[u8]) -> PathBuf {
        let real = Path::new(OsStr::from_bytes(path));
        real.strip_prefix("/").map_or_else(|_| real.to_path_buf(), |below| self.root.join(below))
    }
}

/// The directory a name is in; nothing for the root and what stands in it, since the root is there.
fn above(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|byte| *byte == b'/').filter(|end| *end > 0)?;
    path.get(..end)
}
