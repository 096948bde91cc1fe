//! What git would follow, by reading its files only: configuration, what it includes, where its hooks lie, which programs it names.
//!
//! git itself is never run: it would run what is being looked for. git-config(1). Left out: whether a condition of an `includeIf` holds; it may.

use super::content::{Room, content, is_too_long};
use super::kinds::{above, is_at_or_below, last};
use std::collections::BTreeSet;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt};
use std::path::{Path, PathBuf};

/// Configuration files followed, with what they include, each once for every work tree that it speaks of.
const FILES_MAX: usize = 4_096;
/// The configuration that is every user's.
const SYSTEM: &[u8] = b"/etc/gitconfig";
/// Links followed one after another (the kernel's MAXSYMLINKS).
const LINKS_MAX: usize = 40;

/// Keys in order, `section.subsection.key`, section and key in lower case, with their values. `None`: git would refuse the file.
///
/// Git reads bytes, in whatever encoding: each is a letter here ([`bytes`]), so that two names that are not UTF-8 stay two, and a path is found. A name
/// or value ends for git at a zero byte: `[core "hookspath\0"] x = y` sets `core.hookspath`.
pub fn settings(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let ended = |text: &str| text.split('\0').next().unwrap_or_default().to_owned();
    Some(interlock_keys::settings(&text)?.iter().map(|setting| (ended(&setting.name()), ended(&setting.value))).collect())
}

/// The bytes that a key or value of [`settings`] stands for.
pub fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

/// Where git would be led.
#[derive(Default)]
pub struct Followed {
    /// Folders whose files are hooks.
    pub hooks: BTreeSet<Vec<u8>>,
    /// Files read as configuration because another names them.
    pub included: BTreeSet<Vec<u8>>,
    /// Words of commands that configuration names, as paths.
    pub programs: BTreeSet<Vec<u8>>,
    /// Files that were not read: one too many, or one too long.
    pub unseen: u64,
    /// Files, with the work tree for which they were read: a path in them is read from there.
    seen: BTreeSet<(Vec<u8>, Vec<u8>)>,
    room: Room,
}

impl Followed {
    /// Whether git would run what lies at this path.
    pub fn runs(&self, path: &[u8]) -> bool {
        self.programs.contains(path) || self.hooks.iter().any(|hooks| path != hooks.as_slice() && is_at_or_below(path, hooks))
    }

    /// Follows the system's and the user's configuration, for a repository at `work`.
    pub fn user(&mut self, home: &[u8], work: &[u8]) {
        self.file(SYSTEM.to_vec(), work, home);
        for name in [b"/.gitconfig".as_slice(), b"/.config/git/config"] {
            self.file([home, name].concat(), work, home);
        }
    }

    /// Follows the configuration of the repository whose work tree is `work`.
    pub fn repository(&mut self, work: &[u8], home: &[u8]) {
        let directory = git_directory(&[work, b"/.git"].concat());
        self.bare(&directory, work, home);
    }

    /// The same, by its git directory.
    pub fn bare(&mut self, directory: &[u8], work: &[u8], home: &[u8]) {
        let common = common(directory);
        let config = [common.as_slice(), b"/config"].concat();
        if common != directory {
            self.included.insert(real_or_clean(&config));
        }
        self.file(config, work, home);
        self.file([directory, b"/config.worktree"].concat(), work, home);
    }

    /// Follows one file of configuration.
    pub fn file(&mut self, path: Vec<u8>, work: &[u8], home: &[u8]) {
        let mut ahead = vec![path];
        while let Some(path) = ahead.pop() {
            let Some(real) = real(&path) else { continue };
            if self.seen.contains(&(real.clone(), work.to_vec())) {
                continue;
            }
            if self.seen.len() >= FILES_MAX || is_too_long(&real) || !self.room.holds(&real) {
                self.unseen += 1;
                continue;
            }
            self.seen.insert((real.clone(), work.to_vec()));
            for (key, value) in content(&real).and_then(|bytes| settings(&bytes)).unwrap_or_default() {
                let value = bytes(&value);
                if key == "include.path" || (key.starts_with("includeif.") && key.ends_with(".path")) {
                    for value in spaced(value) {
                        let included = expanded(&value, above(&path), home);
                        self.included.insert(real_or_clean(&included));
                        ahead.push(included);
                    }
                } else if key == "core.hookspath" {
                    self.hooks.extend(spaced(value).map(|value| real_or_clean(&expanded(&value, work, home))));
                } else {
                    self.words(&value, work, home);
                }
            }
        }
    }

    fn words(&mut self, value: &[u8], work: &[u8], home: &[u8]) {
        let value = value.strip_prefix(b"!").unwrap_or(value);
        for word in value.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'\'' | b'"' | b';' | b'&' | b'|')) {
            if word.contains(&b'/') || word.contains(&b'.') {
                self.programs.insert(real_or_clean(&expanded(word, work, home)));
            }
        }
    }
}

/// Whether git takes a folder for a repository: it has the three things that git looks for, two of them where its `commondir` says.
pub fn is_repository(directory: &[u8]) -> bool {
    let common = common(directory);
    let is_folder = |name: &[u8]| std::fs::metadata(as_path(&[common.as_slice(), b"/", name].concat())).is_ok_and(|there| there.is_dir());
    std::fs::symlink_metadata(as_path(&[directory, b"/HEAD"].concat())).is_ok() && is_folder(b"objects") && is_folder(b"refs")
}

/// Where a git directory has what it shares with others: its configuration, hooks and objects.
pub fn common(directory: &[u8]) -> Vec<u8> {
    pointed(&[directory, b"/commondir"].concat(), b"", directory).unwrap_or_else(|| directory.to_vec())
}

/// Whether a path is, or lies in, a folder called `.git`.
pub fn is_in_dot_git(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|part| part == b".git")
}

/// Whether git itself writes this in its directory, and runs none of it: where branches stand, and what was done last.
pub fn is_bookkeeping(path: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] =
        [b"HEAD", b"ORIG_HEAD", b"FETCH_HEAD", b"MERGE_HEAD", b"MERGE_MSG", b"COMMIT_EDITMSG", b"index", b"description", b"packed-refs"];
    let mut inside = path.split(|byte| *byte == b'/').skip_while(|part| *part != b".git").skip(1).peekable();
    inside.peek().is_some()
        && (NAMES.contains(&last(path)) || path.ends_with(b"/info/exclude") || inside.any(|part| matches!(part, b"refs" | b"logs")))
}

/// What a `.git` stands for: itself, or what it names as a file.
fn git_directory(dot_git: &[u8]) -> Vec<u8> {
    pointed(dot_git, b"gitdir:", above(dot_git)).unwrap_or_else(|| dot_git.to_vec())
}

/// The path that a small file holds behind `mark`, read from `start`.
fn pointed(file: &[u8], mark: &[u8], start: &[u8]) -> Option<Vec<u8>> {
    let text = content(file)?;
    let named = text.strip_prefix(mark)?.trim_ascii();
    Some(real_or_clean(&expanded(named, start, b"")))
}

/// A value as it stands, and as older versions of git read it: with a space for each white space in it.
fn spaced(value: Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    let older: Vec<u8> = value.iter().map(|byte| if byte.is_ascii_whitespace() { b' ' } else { *byte }).collect();
    let differs = older != value;
    std::iter::once(value).chain(differs.then_some(older))
}

/// A path as git reads it in configuration, made absolute.
fn expanded(value: &[u8], start: &[u8], home: &[u8]) -> Vec<u8> {
    let of_home =
        || value.strip_prefix(b"~").and_then(|rest| rest.strip_prefix(b"/").or_else(|| rest.strip_prefix(last(home))?.strip_prefix(b"/")));
    match (of_home(), value.first()) {
        (Some(rest), _) if !home.is_empty() => [home, b"/", rest].concat(),
        (_, Some(b'/')) => value.to_vec(),
        _ => [start, b"/", value].concat(),
    }
}

/// The path with its links and dots resolved as far as it is there; the rest by its text.
fn real_or_clean(path: &[u8]) -> Vec<u8> {
    if let Some(real) = real(path) {
        return real;
    }
    let mut at: Vec<u8> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => at.truncate(above(&at).len()),
            part => {
                let next = [at.as_slice(), b"/", part].concat();
                at = real(&next).filter(|real| real != b"/").unwrap_or(next);
            }
        }
    }
    if at.is_empty() { b"/".to_vec() } else { at }
}

/// Where a link leads, be it to nothing yet.
pub fn destination(link: &[u8]) -> Vec<u8> {
    let mut at = link.to_vec();
    for _ in 0..LINKS_MAX {
        match std::fs::read_link(as_path(&at)) {
            Ok(content) => at = real_or_clean(&expanded(content.as_os_str().as_bytes(), above(&at), b"")),
            Err(_) => break,
        }
    }
    at
}

fn real(path: &[u8]) -> Option<Vec<u8>> {
    std::fs::canonicalize(as_path(path)).ok().map(PathBuf::into_os_string).map(OsStringExt::into_vec)
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_bytes_and_end_at_a_zero_byte() {
        let [one, other] =
            [b"[a \"\xe8\"]\nk = \xe9\xa0".as_slice(), b"[a \"\xe9\"]\nk = \xc3\xa9\x0b"].map(|text| settings(text).unwrap());
        assert!(one[0].0 != other[0].0 && bytes(&one[0].1) == b"\xe9\xa0" && bytes(&other[0].1) == b"\xc3\xa9\x0b");
        let found = settings(b"\xef\xbb\xbf[remote \"o.uploadpack\0\"]\nurl = evil\0; good\n[a \"\"] k").unwrap();
        let expected = [("remote.o.uploadpack", "evil"), ("a..k", "true")];
        assert_eq!(found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
        assert!(settings(b"x = 1").is_none());
    }

    #[test]
    fn white_space_is_read_as_it_stands_and_as_older_versions_read_it() {
        assert_eq!(spaced(b"a\tb".to_vec()).collect::<Vec<_>>(), [b"a\tb", b"a b"]);
        assert_eq!(spaced(b"a b".to_vec()).count(), 1);
    }
}
