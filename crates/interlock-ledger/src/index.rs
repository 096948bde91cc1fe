//! The user's index: each session's opening and last checkpoint, so that a whole session cannot vanish unseen.
//!
//! The index is a log of its own with many short-lived writers, one at a time under its lock.

use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use crate::bounds::finish;
use crate::error::Result;
use crate::keys::Keys;
use crate::note::Checkpoint;
use crate::options::Options;
use crate::private;
use crate::resume::{Open, resume};
use crate::scan::Scan;
use crate::writer::{Writer, read};

/// The user's index, locked.
pub struct Index {
    options: Options,
    lock: File,
    scan: Scan,
    open: Open,
}

impl Index {
    /// Waits for the index's lock and finds where it stands: behind what was signed last, or, when that cannot be told, by reading it whole.
    ///
    /// # Errors
    /// It is damaged, or lacks what was signed.
    pub fn lock(directory: &Path, keys: &Keys) -> Result<Self> {
        private::directory(directory)?;
        let mut options = Options::new(directory, "index", keys);
        options.memory = Some(keys.directory.join("index.checkpoint"));
        let lock = private::lock(directory, true)?;
        if let Some((scan, open)) = resume(&options) {
            return Ok(Self { options, lock, scan, open });
        }
        let mut open = Open::default();
        let scan = read(&options, &mut |entry| open.follow(entry))?;
        Ok(Self { options, lock, scan, open })
    }

    /// The logs that were opened and not closed, the oldest first. The lock is let go.
    #[must_use]
    pub fn open_logs(self) -> Vec<String> {
        self.open.logs
    }

    /// True if the log `name` was opened and not closed.
    pub(crate) fn is_open(&self, name: &str) -> bool {
        self.open.logs.iter().any(|other| other == name)
    }

    /// The logs that a start should complete if their writer is gone: open, and not found damaged before.
    pub(crate) fn to_complete(&self) -> Vec<String> {
        self.open.logs.iter().filter(|name| !self.open.damaged.contains(name)).cloned().collect()
    }

    /// Notes that these open logs cannot be completed, so that no later start tries again.
    pub(crate) fn set_aside(mut self, damaged: Vec<String>) {
        self.open.damaged.extend(damaged);
        if self.scan.checkpoint.as_ref().is_some_and(|last| last.size == self.scan.tree.size()) {
            self.open.keep(&self.options.directory, &self.options.keys, self.scan.tree.size(), &self.scan.tree.root());
        }
    }

    /// Size and root before anything is added.
    #[must_use]
    pub fn head(&self) -> Value {
        json!({"size": self.scan.tree.size(), "root": BASE64.encode(self.scan.tree.root())})
    }

    /// Enters that the log `name` was opened and stands at `checkpoint`.
    ///
    /// # Errors
    /// It could not be written and synced.
    pub fn opened(self, name: &str, checkpoint: &Checkpoint) -> Result<()> {
        self.enter("index.opened", name, checkpoint, None)
    }

    /// Enters that the log `name` was closed at `checkpoint`.
    ///
    /// # Errors
    /// It could not be written and synced.
    pub fn closed(self, name: &str, checkpoint: &Checkpoint, reason: Option<&str>) -> Result<()> {
        self.enter("index.closed", name, checkpoint, reason)
    }

    fn enter(mut self, kind: &str, name: &str, checkpoint: &Checkpoint, reason: Option<&str>) -> Result<()> {
        let mut entry = Map::new();
        entry.insert("type".into(), kind.into());
        entry.insert("log".into(), name.into());
        entry.insert("head".into(), json!({"size": checkpoint.size, "root": BASE64.encode(checkpoint.root)}));
        if let Some(reason) = reason {
            entry.insert("reason".into(), reason.into());
        }
        self.open.enter(kind, name);
        let mut writer = Writer::start(self.options, self.lock, self.scan, entry)?;
        let last = finish(&mut writer)?;
        self.open.keep(&writer.options().directory, &writer.options().keys, last.size, &last.root);
        Ok(())
    }
}

/// How a log enters its end into the index.
pub(crate) struct Registration {
    name: String,
    index: PathBuf,
    keys: Keys,
    reason: Option<String>,
}

impl Registration {
    pub(crate) fn new(name: &str, index: &Path, keys: &Keys, reason: Option<&str>) -> Self {
        Self { name: name.into(), index: index.to_path_buf(), keys: keys.clone(), reason: reason.map(Into::into) }
    }

    pub(crate) fn closed(&self, checkpoint: &Checkpoint) -> Result<()> {
        Index::lock(&self.index, &self.keys)?.closed(&self.name, checkpoint, self.reason.as_deref())
    }
}
