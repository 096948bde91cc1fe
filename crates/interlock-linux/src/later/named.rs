//! What something that runs names: `include more.inc` in a Makefile, `sh scripts/open` in an editor's task, `require("./table")` in a program.
//!
//! Texts are looked through for the last parts of names, as words; no language is understood. So too much is found rather than too little. A folder
//! followed by a pattern (`conf.d/*`) names what lies in it. Left out: names that are put together as a program runs, and those in compiled programs.

use super::content::content;
use super::former::Former;
use super::kinds::{Kinds, last};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Entries and bytes looked at, and the time it may take.
const ENTRIES_MAX: usize = 500_000;
const BYTES_MAX: usize = 256 * 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(3);
/// How deep a home is looked through for start-up files and settings.
const HOME_DEPTH_MAX: usize = 2;

/// What was looked for, and is named.
#[derive(Default)]
pub struct Named {
    pub paths: BTreeSet<Vec<u8>>,
    /// Not every text was looked at.
    pub is_partial: bool,
}

/// Which of `sought`, files that are nothing else, are named by something that runs or did before the session, in the workspace or by the home's own settings.
pub fn named(kinds: &Kinds, sought: Vec<Vec<u8>>, former: &Former) -> Named {
    if sought.is_empty() {
        return Named::default();
    }
    let mut looking = Looking::new(kinds, sought);
    looking.folder(&kinds.workspace, usize::MAX);
    looking.folder(&kinds.home, HOME_DEPTH_MAX);
    former.texts().for_each(|text| looking.words_of(text));
    // What is named may name more.
    while let Some(path) = looking.fresh.pop() {
        looking.text(&path);
    }
    looking.named
}

struct Looking<'a> {
    kinds: &'a Kinds,
    /// By the last part of their names; a part that is no word is looked for as it is.
    words: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    phrases: Vec<Vec<u8>>,
    /// How long words are that are looked for.
    lengths: [bool; 256],
    /// The names of folders that something sought lies in.
    folders: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    found: HashSet<Vec<u8>>,
    named: Named,
    fresh: Vec<Vec<u8>>,
    begun: Instant,
    entries: usize,
    bytes: usize,
}

impl<'a> Looking<'a> {
    fn new(kinds: &'a Kinds, sought: Vec<Vec<u8>>) -> Self {
        let (mut words, mut folders) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for path in sought {
            for folder in path.split(|byte| *byte == b'/').rev().skip(1).take_while(|part| !part.is_empty()) {
                folders.entry(folder.to_vec()).or_default().push(path.clone());
            }
            words.entry(last(&path).to_vec()).or_default().push(path);
        }
        let phrases = words.keys().filter(|word| !word.iter().all(|byte| is_of_word(*byte))).cloned().collect();
        let mut lengths = [false; 256];
        for word in words.keys() {
            if let Some(there) = lengths.get_mut(word.len()) {
                *there = true;
            }
        }
        let (found, named, fresh) = (HashSet::new(), Named::default(), Vec::new());
        Self { kinds, words, lengths, phrases, folders, found, named, fresh, begun: Instant::now(), entries: 0, bytes: 0 }
    }

    /// Reads everything below that runs.
    fn folder(&mut self, top: &[u8], depth_max: usize) {
        let mut ahead = vec![(top.to_vec(), 0)];
        while let Some((folder, depth)) = ahead.pop() {
            let Ok(listing) = std::fs::read_dir(Path::new(std::ffi::OsStr::from_bytes(&folder))) else { continue };
            for entry in listing.flatten() {
                self.entries += 1;
                if self.entries > ENTRIES_MAX || self.bytes > BYTES_MAX || self.begun.elapsed() > TIME_MAX {
                    self.named.is_partial = true;
                    return;
                }
                let (path, Ok(kind)) = (entry.path().into_os_string().into_vec(), entry.file_type()) else { continue };
                if kind.is_dir() {
                    // Of a home, only folders of settings: `.config`, `.ssh`.
                    let is_meant = depth_max == usize::MAX || depth > 0 || last(&path).starts_with(b".");
                    if depth < depth_max && is_meant && self.kinds.of_tree(&path).is_none() {
                        ahead.push((path, depth + 1));
                    }
                } else if kind.is_file() && runs(self.kinds, &path) {
                    self.text(&path);
                }
            }
        }
    }

    fn text(&mut self, path: &[u8]) {
        let Some(text) = content(path).filter(|text| !text.contains(&0)) else { return };
        self.bytes += text.len();
        self.words_of(&text);
    }

    fn words_of(&mut self, text: &[u8]) {
        let mut at = 0;
        while let Some(start) = text.get(at..).and_then(|rest| rest.iter().position(|byte| is_of_word(*byte))).map(|more| at + more) {
            let end =
                text.get(start..).and_then(|rest| rest.iter().position(|byte| !is_of_word(*byte))).map_or(text.len(), |more| start + more);
            if let Some(word) = text.get(start..end) {
                self.word(word);
                if let Some(word) = word.strip_suffix(b".") {
                    self.word(word); // the end of a sentence
                }
                if text.get(end) == Some(&b'/') && text.get(end + 1).is_none_or(|byte| !is_of_word(*byte)) {
                    let below = self.folders.get(word).cloned().unwrap_or_default();
                    self.take(below);
                }
            }
            at = end;
        }
        for phrase in self.phrases.clone() {
            if text.windows(phrase.len()).any(|window| window == phrase) {
                self.word(&phrase);
            }
        }
    }

    fn word(&mut self, word: &[u8]) {
        if !self.lengths.get(word.len()).copied().unwrap_or_default() {
            return; // most words, without a look into the map
        }
        if let Some(paths) = self.words.get(word).filter(|_| !self.found.contains(word)).cloned() {
            self.found.insert(word.to_vec());
            self.take(paths);
        }
    }

    fn take(&mut self, paths: Vec<Vec<u8>>) {
        for path in paths {
            if self.named.paths.insert(path.clone()) {
                self.fresh.push(path);
            }
        }
    }
}

/// Whether a file is of some kind, or executable. The sample hooks, which git installs in every repository, are neither.
pub fn runs(kinds: &Kinds, path: &[u8]) -> bool {
    let there = || std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path)));
    let is_executable = || there().is_ok_and(|at| at.is_file() && at.permissions().mode() & 0o111 != 0);
    !kinds.leaves_out(path) && (kinds.names(path) || is_executable())
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@') || byte >= 0x80
}
