//! What a log is: where it lies, what it is called and signed as, and the clocks and the disk it works with.

use crate::clock::Clock;
use crate::keys::Keys;
use crate::storage::{Disk, Storage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a log is and where.
#[derive(Clone)]
pub struct Options {
    /// The log's own directory.
    pub directory: PathBuf,
    /// What its checkpoints are signed as (`Keys::origin`).
    pub origin: String,
    /// Whose log this is; goes into every record.
    pub session: String,
    /// Signing key and auditor's public key.
    pub keys: Keys,
    /// Where else the last checkpoint is kept: a log that lacks it is refused.
    pub memory: Option<PathBuf>,
    /// The two clocks.
    pub clock: Clock,
    /// The disk.
    pub storage: Arc<dyn Storage>,
}

impl Options {
    /// The log `name` (`sessions/s-…`, `gateway/…`) in `directory`, on the machine's own clocks and disk.
    #[must_use]
    pub fn new(directory: &Path, name: &str, keys: &Keys) -> Self {
        Self {
            directory: directory.to_path_buf(),
            origin: keys.origin(name),
            session: name.rsplit('/').next().unwrap_or(name).into(),
            keys: keys.clone(),
            memory: None,
            clock: crate::clock::system(),
            storage: disk(),
        }
    }

    /// Where the last checkpoint is kept.
    pub(crate) fn memories(&self) -> Vec<PathBuf> {
        std::iter::once(self.directory.join("checkpoint")).chain(self.memory.clone()).collect()
    }
}

/// The disk; with the feature `faults`, one that fails as `INTERLOCK_FAULT` says.
#[must_use]
fn disk() -> Arc<dyn Storage> {
    #[cfg(feature = "faults")]
    if let Some(faulty) = crate::faults::Faulty::from_environment() {
        return Arc::new(faulty);
    }
    Arc::new(Disk)
}
