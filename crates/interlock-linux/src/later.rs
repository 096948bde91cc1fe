//! What a session changed that something outside would run later: hooks, start-up files, build steps, configuration that names programs.
//!
//! Such files may be writable on purpose, so they are listed at the end instead. Left out: what was changed and is gone again by then.

use crate::messages::RunsLater;
use interlock_core::action::{Bytes, Target, Verb};
use interlock_core::pattern::Pattern;
use interlock_core::patterns::Patterns;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Paths kept; the rest are counted.
const PATHS_MAX: usize = 1000;

/// The patterns, and what was changed of theirs.
pub struct Later {
    paths: Patterns,
    except: Patterns,
    found: Mutex<Found>,
}

/// A name that was changed, and whether by moving something there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Changed {
    pub path: Vec<u8>,
    pub moved: bool,
}

#[derive(Default)]
struct Found {
    /// Whether it was moved here, by name.
    paths: BTreeMap<Vec<u8>, bool>,
    more: u64,
}

impl Later {
    /// # Errors
    /// A pattern that is none.
    pub fn new(wanted: &RunsLater) -> Result<Self, String> {
        let patterns = |texts: &[Bytes]| texts.iter().map(Pattern::compile).collect::<Result<Vec<_>, _>>().map(Patterns::from);
        Ok(Self { paths: patterns(&wanted.paths)?, except: patterns(&wanted.except)?, found: Mutex::default() })
    }

    /// The names an act would change that run later.
    #[must_use]
    pub fn of(&self, verb: Verb, target: &Target) -> Vec<Changed> {
        if !verb.is_file() || matches!(verb, Verb::FileRead | Verb::FileDelete | Verb::FileUtime) || self.paths.is_empty() {
            return Vec::new();
        }
        let changed = |path: &Bytes, moved| Changed { path: path.0.clone(), moved };
        let runs = |path: &Bytes| self.paths.matches(&path.0) && !self.except.matches(&path.0);
        match target {
            Target::File(end) => std::iter::once(&end.path).filter(|path| runs(path)).map(|path| changed(path, false)).collect(),
            Target::Pair { path, to, exchange, .. } => {
                let source = exchange.then_some(path);
                std::iter::once(&to.path).chain(source).filter(|path| runs(path)).map(|path| changed(path, true)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Remembers what was changed.
    pub fn note(&self, changed: Vec<Changed>) {
        if changed.is_empty() {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for Changed { path, moved } in changed {
            if found.paths.len() < PATHS_MAX || found.paths.contains_key(&path) {
                *found.paths.entry(path).or_default() |= moved;
            } else {
                found.more += 1;
            }
        }
    }

    /// What is still there, in order; and how many changes found no room.
    #[must_use]
    pub fn left(&self) -> (Value, u64) {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |(path, moved): &(&Vec<u8>, &bool)| {
            let there = std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path)));
            // A folder runs nothing. One that was moved here brought what it holds along.
            there.is_ok_and(|there| **moved || !there.is_dir())
        };
        let left: Vec<Bytes> = found.paths.iter().filter(is_there).map(|(path, _)| Bytes(path.clone())).collect();
        (json!(left), found.more)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use interlock_core::action::FileEnd;

    fn later(paths: &[&str], except: &[&str]) -> Later {
        let bytes = |texts: &[&str]| texts.iter().map(|text| Bytes(text.as_bytes().to_vec())).collect();
        Later::new(&RunsLater { paths: bytes(paths), except: bytes(except) }).unwrap()
    }

    fn plain(path: &str) -> Changed {
        Changed { path: path.as_bytes().to_vec(), moved: false }
    }

    fn end(path: &str) -> FileEnd {
        FileEnd { path: Bytes(path.as_bytes().to_vec()), aliases: Vec::new(), inode: None }
    }

    fn of(later: &Later, verb: Verb, path: &str) -> Vec<Changed> {
        later.of(verb, &Target::File(end(path)))
    }

    #[test]
    fn changes_are_found_and_reads_are_not() {
        let later = later(&["**/hooks/*", "/w/Makefile"], &["**/*.sample"]);
        assert_eq!(of(&later, Verb::FileWrite, "/w/Makefile"), [plain("/w/Makefile")]);
        assert_eq!(of(&later, Verb::FileChmod, "/x/hooks/post"), [plain("/x/hooks/post")]);
        assert!(of(&later, Verb::FileRead, "/w/Makefile").is_empty());
        assert!(of(&later, Verb::FileCreate, "/x/hooks/post.sample").is_empty());
        assert!(of(&later, Verb::FileCreate, "/w/other").is_empty());
    }

    #[test]
    fn a_rename_is_found_where_it_leads_and_an_exchange_at_both_ends() {
        let later = later(&["/w/Makefile"], &[]);
        let pair = |from: &str, to: &str, exchange| {
            let FileEnd { path, aliases, inode } = end(from);
            later.of(Verb::FileRename, &Target::Pair { path, aliases, inode, to: end(to), exchange })
        };
        assert_eq!(pair("/w/a", "/w/Makefile", false).len(), 1);
        assert!(pair("/w/Makefile", "/w/a", false).is_empty());
        assert_eq!(pair("/w/Makefile", "/w/a", true).len(), 1);
    }

    #[test]
    fn the_list_is_bounded_and_holds_what_is_there() {
        let later = later(&["/**"], &[]);
        later.note((0..PATHS_MAX + 5).map(|number| plain(&format!("/nowhere/{number:05}"))).collect());
        later.note(vec![plain("/nowhere/00001")]);
        assert_eq!(later.left(), (json!([]), 5));
        let one = self::later(&["/**"], &[]);
        one.note(vec![plain("/etc/passwd"), plain("/etc"), plain("/nowhere"), Changed { path: b"/usr".to_vec(), moved: true }]);
        assert_eq!(one.left(), (json!(["/etc/passwd", "/usr"]), 0));
    }
}
