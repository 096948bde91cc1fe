//! What something that runs names: `include more.inc` in a Makefile, `sh scripts/open` in an editor's task, `require("./table")` in a program.
//!
//! Texts are looked through for the last parts of names, as words (`words`); no language is understood. So too much is found rather than too little. A
//! folder followed by a pattern (`conf.d/*`) names what lies in it, and where a shell or make reads, a pattern (`*.step`) names what it matches. Left out:
//! names that are put together as a program runs, and those in compiled programs.

use super::content::{is_compiled, open};
use super::former::Former;
use super::kinds::{Kinds, is_at_or_below, last, outer};
use super::words::{Heard, Sought};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Entries and bytes looked at, and the time it may take.
const ENTRIES_MAX: usize = 500_000;
const BYTES_MAX: usize = 256 * 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(3);
/// Of a text at a time; and of a word that goes on in the next part of it.
const PART_BYTES: usize = 256 << 10;
const WORD_BYTES_MAX: usize = 4_096;
/// How deep a home is looked through for start-up files and settings, and a folder above the workspace for what tools look for there.
const HOME_DEPTH_MAX: usize = 2;
const ABOVE_DEPTH_MAX: usize = 1;

/// What was looked for, and is named.
#[derive(Default)]
pub struct Named {
    pub paths: BTreeSet<Vec<u8>>,
    /// Not every text was looked at.
    pub is_partial: bool,
}

/// Which of `sought`, files that are nothing else, are named by something that runs or did before the session, in the workspace, above it, or by the
/// home's own settings.
pub fn named(kinds: &Kinds, sought: Vec<Vec<u8>>, former: &Former) -> Named {
    if sought.is_empty() {
        return Named::default();
    }
    let mut looking = Looking {
        kinds,
        sought: Sought::new(sought),
        named: Named::default(),
        fresh: Vec::new(),
        begun: Instant::now(),
        entries: 0,
        bytes: 0,
    };
    let always = looking.sought.without_words();
    looking.take(always);
    looking.folder(&kinds.workspace, usize::MAX);
    looking.folder(&kinds.home, HOME_DEPTH_MAX);
    for folder in outer(&kinds.workspace).take_while(|folder| is_at_or_below(folder, &kinds.home) && *folder != kinds.home.as_slice()) {
        looking.folder(folder, ABOVE_DEPTH_MAX);
    }
    for (path, text) in former.texts() {
        looking.text_of(path, text);
    }
    // What is named may name more.
    while let Some(path) = looking.fresh.pop() {
        looking.text(&path);
    }
    looking.is_over();
    looking.named
}

struct Looking<'a> {
    kinds: &'a Kinds,
    sought: Sought,
    named: Named,
    fresh: Vec<Vec<u8>>,
    begun: Instant,
    entries: usize,
    bytes: usize,
}

impl Looking<'_> {
    /// Reads everything below that runs.
    fn folder(&mut self, top: &[u8], depth_max: usize) {
        let mut ahead = vec![(top.to_vec(), 0)];
        while let Some((folder, depth)) = ahead.pop() {
            let Ok(listing) = std::fs::read_dir(Path::new(std::ffi::OsStr::from_bytes(&folder))) else { continue };
            for entry in listing.flatten() {
                self.entries += 1;
                if self.is_over() {
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

    /// Whether there is no time or room for more; then not everything was looked at.
    fn is_over(&mut self) -> bool {
        let is_over = self.entries > ENTRIES_MAX || self.bytes > BYTES_MAX || self.begun.elapsed() > TIME_MAX;
        self.named.is_partial |= is_over;
        is_over
    }

    /// Looks through a file, however long it is.
    fn text(&mut self, path: &[u8]) {
        let Some(mut file) = open(path) else { return };
        let (mut heard, mut part) = (Heard::default(), Vec::new());
        loop {
            let Ok(read) = file.by_ref().take(PART_BYTES as u64).read_to_end(&mut part) else { return };
            if heard.is_new() {
                if is_compiled(&part) {
                    return;
                }
                heard.is_by_shell(is_for_shell(path, &part));
            }
            self.bytes += read;
            let end = if read == 0 { part.len() } else { whole_words(&part) };
            let (now, rest) = part.split_at(end);
            self.heard(&mut heard, now);
            if read == 0 || self.is_over() {
                return;
            }
            part = rest.to_vec();
        }
    }

    fn text_of(&mut self, path: &[u8], text: &[u8]) {
        if self.is_over() {
            return;
        }
        let mut heard = Heard::default();
        heard.is_by_shell(is_for_shell(path, text));
        self.heard(&mut heard, text);
    }

    fn heard(&mut self, heard: &mut Heard, text: &[u8]) {
        let found = self.sought.hear(heard, text, self.begun + TIME_MAX);
        self.take(found);
    }

    fn take(&mut self, paths: Vec<Vec<u8>>) {
        for path in paths {
            if self.named.paths.insert(path.clone()) {
                self.fresh.push(path);
            }
        }
    }
}

/// How much of a part of a text is whole words: what follows may go on in the next part.
fn whole_words(part: &[u8]) -> usize {
    let after = |is_edge: fn(&u8) -> bool| part.iter().rposition(is_edge).map_or(0, |at| at + 1);
    let edges = [after(u8::is_ascii_whitespace), after(u8::is_ascii_punctuation), part.len().saturating_sub(WORD_BYTES_MAX)];
    edges.into_iter().find(|end| part.len() - end <= WORD_BYTES_MAX).unwrap_or(part.len())
}

/// Whether a shell or make reads a text, for which patterns stand for names.
fn is_for_shell(path: &[u8], text: &[u8]) -> bool {
    const ENDS: [&[u8]; 14] = [
        b".sh", b".bash", b".zsh", b".fish", b".ksh", b".mk", b".mak", b".make", b".just", b".envrc", b".bashrc", b".zshrc", b"profile",
        b".zshenv",
    ];
    let name = last(path).to_ascii_lowercase();
    let is_make =
        [b"makefile".as_slice(), b"justfile", b"taskfile", b"rakefile"].iter().any(|part| name.windows(part.len()).any(|at| at == *part));
    text.starts_with(b"#!") || is_make || ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a file is of some kind, or executable. The sample hooks, which git installs in every repository, are neither.
pub fn runs(kinds: &Kinds, path: &[u8]) -> bool {
    let there = || std::fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(path)));
    let is_executable = || there().is_ok_and(|at| at.is_file() && at.permissions().mode() & 0o111 != 0);
    !kinds.leaves_out(path) && (kinds.names(path) || is_executable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_cut_between_two_parts() {
        assert_eq!(whole_words(b"all: more"), 5);
        let long = vec![b'x'; 3 * WORD_BYTES_MAX];
        assert_eq!(whole_words(&long), 2 * WORD_BYTES_MAX);
        assert_eq!(whole_words(&[b"a b", long.as_slice(), b";more"].concat()), 3 * WORD_BYTES_MAX + 4);
    }

    #[test]
    fn shells_and_make_read_patterns() {
        for (path, text, does) in
            [("/w/a.sh", "", true), ("/w/GNUmakefile", "", true), ("/w/run", "#!/bin/sh\n", true), ("/w/.editorconfig", "[*.md]", false)]
        {
            assert_eq!(is_for_shell(path.as_bytes(), text.as_bytes()), does, "{path}");
        }
    }
}
