//! What may go wrong with a log. Each of these means "could not record", so the action at hand is denied by the caller.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the log refused.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// No space is left but the reserve, which takes only what permits nothing.
    Full,
    /// A write or a sync failed before; nothing is acknowledged any more. fsync is never retried: the kernel may have dropped the pages.
    Poisoned(String),
    /// The log was closed.
    Closed,
    /// Another writer holds this log.
    Locked(PathBuf),
    /// The log's bytes are not what a writer leaves behind; it is not opened for writing.
    Damaged {
        /// The file that is damaged.
        file: PathBuf,
        /// The first byte that is wrong.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The signer remembers a checkpoint that this log does not contain.
    Inconsistent(String),
    /// The record is not an object, uses a key that the writer fills in, or cannot be made small enough.
    Record(String),
    /// A key is missing, malformed or readable by others.
    Key(String),
    /// The operating system refused.
    Io {
        /// What was being done, with the path.
        what: String,
        /// The error number's text.
        why: String,
        /// errno, when there is one.
        errno: Option<i32>,
    },
}

impl Error {
    /// An I/O error with what was being done to which path.
    pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::Io { what: format!("{doing} `{}`", path.display()), why: error.to_string(), errno: error.raw_os_error() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "the disk is full: only denials are recorded, in the reserve"),
            Self::Poisoned(why) => write!(f, "the ledger failed before and takes nothing more: {why}"),
            Self::Closed => write!(f, "the log is closed"),
            Self::Locked(path) => write!(f, "another writer holds the log `{}`", path.display()),
            Self::Damaged { file, offset, what } => write!(f, "`{}` is damaged at byte {offset}: {what}", file.display()),
            Self::Inconsistent(what) => write!(f, "the log is not the one that was signed: {what}"),
            Self::Record(what) => write!(f, "not a record: {what}"),
            Self::Key(what) => write!(f, "{what}"),
            Self::Io { what, why, .. } => write!(f, "cannot {what}: {why}"),
        }
    }
}

impl std::error::Error for Error {}
