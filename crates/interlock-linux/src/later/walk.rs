//! One look through folders when a session is over: the other names of changed objects, links on the way to them, repositories, what a moved folder brought along.
//!
//! Bounded; what was not looked at is said. Left out: what lies in trees that count as one thing, such as git's own objects.

use super::git::destination;
use super::kinds::Kinds;
use crate::sys::process::user;
use interlock_core::action::Inode;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Entries looked at, and the time it may take.
const ENTRIES_MAX: usize = 500_000;
const TIME_MAX: Duration = Duration::from_secs(3);
/// Links and repositories remembered.
const LINKS_MAX: usize = 20_000;
const REPOSITORIES_MAX: usize = 1_000;

/// What a walk came upon.
#[derive(Default)]
pub struct Walked {
    /// Names of the objects that were looked for.
    pub names: Vec<(Vec<u8>, Inode)>,
    /// Links that some kind names, or names below, with where they lead.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Folders that hold a `.git`.
    pub repositories: Vec<Vec<u8>>,
    /// Folders that hold a `commondir`: git directories whose configuration lies elsewhere.
    pub led: Vec<Vec<u8>>,
    /// Files, where they were asked for.
    pub files: Vec<Vec<u8>>,
    /// Trees that were not entered.
    pub trees: Vec<Vec<u8>>,
    /// Not everything was looked at.
    pub is_partial: bool,
}

/// Walks through everything below `top`. With `files`, every file is remembered.
pub fn walk(kinds: &Kinds, top: &[u8], objects: &HashSet<Inode>, files: bool) -> Walked {
    let (mut found, begun, mut entries) = (Walked::default(), Instant::now(), 0_usize);
    let mut ahead = vec![top.to_vec()];
    while let Some(folder) = ahead.pop() {
        let Ok(listing) = std::fs::read_dir(path_of(&folder)) else {
            found.is_partial |= is_shut(&folder);
            continue;
        };
        for entry in listing.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX || begun.elapsed() > TIME_MAX {
                found.is_partial = true;
                return found;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = PathBuf::into_os_string(entry.path()).into_vec();
            let of_repository = match entry.file_name().as_bytes() {
                b".git" => Some(&mut found.repositories),
                b"commondir" => Some(&mut found.led),
                _ => None,
            };
            if let Some(folders) = of_repository {
                if folders.len() < REPOSITORIES_MAX {
                    folders.push(folder.clone());
                } else {
                    found.is_partial = true;
                }
            }
            if kind.is_dir() {
                if kinds.of_tree(&path).is_some() {
                    found.trees.push(path);
                } else {
                    ahead.push(path);
                }
                continue;
            }
            let matters = |path: &[u8]| kinds.names(path) || kinds.of_tree(path).is_some() || kinds.names_below(path);
            if kind.is_symlink() && matters(&path) {
                if found.links.len() < LINKS_MAX {
                    found.links.push((path.clone(), destination(&path)));
                } else {
                    found.is_partial = true;
                }
            }
            if !objects.is_empty() && kind.is_file() {
                let object = entry.metadata().ok().map(|there| Inode { device: there.dev(), number: there.ino() });
                found.names.extend(object.filter(|object| objects.contains(object)).map(|object| (path.clone(), object)));
            }
            if files {
                found.files.push(path);
            }
        }
    }
    found
}

/// Whether a folder that could not be read was shut, as a session can shut its own. Another user's is none that it changed.
fn is_shut(folder: &[u8]) -> bool {
    let there = std::fs::symlink_metadata(path_of(folder));
    there.map_or_else(|error| error.kind() != ErrorKind::NotFound, |there| there.uid() == user())
}

fn path_of(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}
