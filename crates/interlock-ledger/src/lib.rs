//! The ledger's writer (`spec/ledger.md`): frames, MAC, tree, group commit. Reading and verifying is Python's, sharing no code.
//!
//! ```no_run
//! use interlock_ledger::{Class, Ended, Keys, open_session};
//! # fn main() -> interlock_ledger::Result<()> {
//! # let (keys, index, directory) = (std::path::Path::new("k"), std::path::Path::new("i"), std::path::Path::new("d"));
//! let keys = Keys::ensure(keys, Some(index))?;
//! let log = open_session(directory, "sessions/s-1", index, &keys)?;
//! let written = log.append(serde_json::json!({"type": "prompt.seen", "source": "hook"}), Class::Ordered)?;
//! log.effect(written.record, Ended::Errno(0));
//! log.close(Some(serde_json::json!({"type": "session.closed", "status": 0})))?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod bounds;
mod canonical;
pub mod clock;
mod draft;
mod error;
#[cfg(feature = "faults")]
mod faults;
mod frame;
mod index;
mod keys;
mod log;
mod mac;
mod note;
mod options;
mod private;
mod recover;
mod resume;
mod scan;
mod session;
pub mod storage;
mod tally;
mod tiles;
mod tree;
mod writer;

pub use draft::{RECORD_BYTES_MAX, digest};
pub use error::{Error, Result};
pub use index::Index;
pub use keys::Keys;
pub use log::{Class, Log, Written};
pub use note::{Checkpoint, verifier_key};
pub use options::Options;
pub use recover::{Recovered, recover};
pub use session::{open_session, open_session_with};
pub use tally::Ended;
pub use writer::{RESERVE_BYTES, SEGMENT_BYTES, Writer};
