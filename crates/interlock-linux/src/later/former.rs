//! What files that run something held before the session changed them: texts that name others. Who looks at the list takes such a change back (`git
//! checkout Makefile`, `git stash`), and then runs what the former text names. The session may have put that there, where nothing named it at its end.
//!
//! Left out: what a file held that the session first changed by another name, or moved with its folder; other states of a history. Bounded; what finds no room is counted.

use super::content::{content, is_compiled, is_too_long};
use std::collections::BTreeMap;

/// Files whose text is kept, and their bytes.
const FILES_MAX: usize = 20_000;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The texts.
#[derive(Default)]
pub struct Former {
    texts: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
    /// Those that found no room.
    pub more: u64,
}

impl Former {
    /// Whether a file was looked at.
    pub fn has(&self, path: &[u8]) -> bool {
        self.texts.contains_key(path)
    }

    /// Takes what lies at `path`, where the session is about to change it for the first time.
    pub fn take(&mut self, path: &[u8]) {
        if is_too_long(path) {
            self.more += 1;
            self.texts.insert(path.to_vec(), Vec::new());
            return;
        }
        let Some(text) = content(path).filter(|text| !is_compiled(text)) else { return };
        if self.texts.len() >= FILES_MAX || self.bytes + text.len() > BYTES_MAX {
            self.more += 1;
            return;
        }
        self.bytes += text.len();
        self.texts.insert(path.to_vec(), text);
    }

    /// All of them, by file.
    pub fn texts(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.texts.iter().map(|(path, text)| (path.as_slice(), text.as_slice()))
    }
}
