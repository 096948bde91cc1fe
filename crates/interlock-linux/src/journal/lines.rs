//! The lines of a journal: one JSON object each, appended by one write before the effect that it speaks of.
//!
//! A line that was cut off by a kill speaks of an effect that was not yet done.

use super::Moved;
use super::object::Held;
use super::store::Store;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::Stat;
use interlock_core::action::Bytes;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The file of them.
const NAME: &std::ffi::CStr = c"lines";

/// Bytes of lines, after which nothing more is begun: this part of what is kept, a little always, and no more than a person's reader holds in memory. What
/// was begun is still told of to its end.
const SHARE: u64 = 16;
const BYTES_MIN: u64 = 1 << 20;
const BYTES_MAX: u64 = 128 << 20;

/// Where lines go.
pub struct Lines {
    file: File,
    next: AtomicU64,
    bytes: AtomicU64,
    bytes_max: u64,
    /// The last line was cut off: the next one begins a line of its own.
    is_torn: AtomicBool,
}

impl Lines {
    /// The first one says what this is.
    pub fn begin(store: &Store, kept_max: u64) -> Sys<Self> {
        let bytes_max = (kept_max / SHARE).clamp(BYTES_MIN, BYTES_MAX);
        let lines = Self {
            file: store.create(NAME)?,
            next: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_max,
            is_torn: AtomicBool::new(false),
        };
        lines.write(json!({"journal": 1, "at": now_us()}))?;
        Ok(lines)
    }

    /// Whether nothing more is begun: each session can rename as often as it likes.
    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) > self.bytes_max
    }

    /// Whether nothing but beginning and end was written.
    pub fn is_empty(&self) -> bool {
        self.next.load(Ordering::Acquire) <= 2
    }

    /// An object whose content is kept as `content`. `itself`: it is to go there itself, by a rename that follows.
    pub fn kept(&self, held: &Held<'_>, was: Value, content: Option<&str>, itself: bool) -> Sys<u64> {
        // What goes there itself takes its attributes along.
        let attributes = if itself { Vec::new() } else { held.attributes() };
        self.begun(json!({
            "did": "kept", "path": bytes(held.path), "was": was, "content": content, "itself": itself, "attributes": attributes,
        }))
    }

    /// An object of which anything but the content may change.
    pub fn metadata(&self, held: &Held<'_>) -> Sys<u64> {
        self.begun(json!({"did": "noted", "path": bytes(held.path), "was": held.words(), "attributes": held.attributes()}))
    }

    /// What could not be kept.
    pub fn unkept(&self, path: &[u8], error: Errno) {
        let _unwritten = self.write(json!({"did": "lost", "path": bytes(path), "errno": error.0}));
    }

    /// A name that is about to be made; a second one of what is called `linked`.
    pub fn making(&self, path: &[u8], linked: Option<&[u8]>) -> Sys<u64> {
        self.begun(json!({"did": "makes", "path": bytes(path), "linked": linked.map(bytes)}))
    }

    /// What it is the name of.
    pub fn made(&self, line: u64, stat: &Stat) {
        let _unwritten = self.write(json!({"did": "made", "of": line, "device": stat.device, "inode": stat.inode}));
    }

    /// A name that is about to be moved, or exchanged with another.
    pub fn moving(&self, moved: &Moved<'_>) -> Sys<u64> {
        self.begun(json!({
            "did": "moves", "path": bytes(moved.path), "to": bytes(moved.to), "what": moved.what.words(),
            "other": moved.other.map(|other| other.words()), "exchanges": moved.exchanges,
        }))
    }

    /// An effect that was not done after all.
    pub fn failed(&self, line: u64) {
        let _unwritten = self.write(json!({"did": "nothing", "of": line}));
    }

    /// The last line. `kept` is what the contents take on the disk.
    pub fn end(&self, kept: u64) {
        let bytes = self.bytes.load(Ordering::Acquire).saturating_add(kept);
        let _unwritten = self.write(json!({"did": "end", "at": now_us(), "bytes": bytes}));
    }

    /// The file's time of change tells that the session ran at that time.
    pub fn beat(&self) {
        let _untold = self.file.set_modified(SystemTime::now());
    }

    /// A line that an effect is waiting for.
    fn begun(&self, line: Value) -> Sys<u64> {
        if self.is_full() { Err(Errno(libc::EFBIG)) } else { self.write(line) }
    }

    fn write(&self, mut line: Value) -> Sys<u64> {
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        if let Some(line) = line.as_object_mut() {
            line.insert("n".into(), number.into());
        }
        let mut text = if self.is_torn.swap(false, Ordering::AcqRel) { "\n".to_owned() } else { String::new() };
        text.push_str(&line.to_string());
        text.push('\n');
        self.bytes.fetch_add(text.len() as u64, Ordering::AcqRel);
        let mut file = &self.file;
        // The file is open for appending: one write is one line, whoever else writes.
        let written = file.write(text.as_bytes()).map_err(Errno::from);
        if written == Ok(text.len()) {
            return Ok(number);
        }
        self.is_torn.store(true, Ordering::Release);
        Err(written.err().unwrap_or(Errno(libc::ENOSPC)))
    }
}

fn bytes(path: &[u8]) -> Bytes {
    Bytes(path.to_vec())
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_told_to_its_end_where_nothing_more_is_begun() {
        let folder = std::env::temp_dir().join(format!("interlock-lines-{}", std::process::id()));
        let store = Store::make(&folder).unwrap();
        let lines = Lines::begin(&store, 16 << 20).unwrap();
        let line = lines.making(b"/a", None).unwrap();
        lines.bytes.store(BYTES_MIN + 1, Ordering::Release);
        assert_eq!(lines.making(b"/b", None).unwrap_err(), Errno(libc::EFBIG));
        lines.failed(line);
        lines.end(5);
        let text = std::fs::read_to_string(folder.join("lines")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let did: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(did.len(), 4);
        assert_eq!(did.get(2).and_then(|line| line.get("did")), Some(&json!("nothing")));
        assert!(did.last().and_then(|line| line.get("bytes")?.as_u64()).unwrap() > BYTES_MIN);
    }

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = std::env::temp_dir().join(format!("interlock-torn-{}", std::process::id()));
        let store = Store::make(&folder).unwrap();
        let lines = Lines::begin(&store, 0).unwrap();
        (&lines.file).write_all(b"{\"did\":\"ma").unwrap();
        lines.is_torn.store(true, Ordering::Release);
        lines.end(0);
        let text = std::fs::read_to_string(folder.join("lines")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((last.get("did"), text.lines().count()), (Some(&json!("end")), 3));
    }
}
