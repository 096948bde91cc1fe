//! What keyed files held before the session changed them, taken at the first act that could change what lies at their name.
//!
//! INVARIANT: what the session may have put there itself is never taken for what was there before: then every key that makes something run is listed.

use super::content::{Room, content};
use super::keys;
use super::kinds::is_at_or_below;
use super::left::Before;
use crate::wire::messages::Format;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Keyed files whose content is remembered, and folders that were moved. Past either nothing more counts as having been there before.
const FILES_MAX: usize = 1_000;
const FOLDERS_MAX: usize = 10_000;

/// All of them.
#[derive(Default)]
pub struct Snapshots {
    keys: Before,
    /// Where folders were moved to, or are about to be.
    moved: BTreeSet<Vec<u8>>,
    room: Room,
}

impl Snapshots {
    /// The keys by file.
    pub fn keys(&self) -> &Before {
        &self.keys
    }

    /// Takes what lies at `path`, unless that was done before, or it is the session's own already.
    pub fn take(&mut self, path: &[u8], format: Format, was_changed: bool) {
        if self.keys.len() >= FILES_MAX || self.keys.contains_key(path) {
            return;
        }
        let is_ours = was_changed || self.moved.len() >= FOLDERS_MAX || self.moved.iter().any(|folder| is_at_or_below(path, folder));
        let before = if is_ours || !self.room.holds(path) { None } else { content(path).and_then(|bytes| keys::keys(format, &bytes)) };
        self.keys.insert(path.to_vec(), before);
    }

    /// A rename is about to be done. It is noted before, so that no other call finds the folder in its new place unnoted.
    pub fn moves(&mut self, from: &[u8], to: &[u8], exchange: bool) {
        let mut note = |moved: &[u8], place: &[u8]| {
            let is_folder = std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(moved))).is_ok_and(|there| there.is_dir());
            if is_folder && self.moved.len() < FOLDERS_MAX {
                self.moved.insert(place.to_vec());
            }
        };
        note(from, to);
        if exchange {
            note(to, from);
        }
    }
}
