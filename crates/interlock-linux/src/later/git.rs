//! What git would follow, by reading its files only: configuration, what it includes, where its hooks lie, which programs it names.
//!
//! git itself is never run: it would run what is being looked for. git-config(1). Left out: whether a condition of an `includeIf` holds; it may.

use super::content::content;
use super::kinds::{above, is_at_or_below, last};
use std::collections::BTreeSet;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt};
use std::path::{Path, PathBuf};

/// Configuration files followed, with what they include.
const FILES_MAX: usize = 256;
/// Links followed one after another (the kernel's MAXSYMLINKS).
const LINKS_MAX: usize = 40;

/// Keys in order, `section.subsection.key`, section and key in lower case. `None`: git would refuse the file.
pub fn settings(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let text = String::from_utf8_lossy(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)).replace("\r\n", "\n");
    let (mut found, mut section) = (Vec::new(), None::<String>);
    let mut rest = text.as_str();
    while let Some(first) = rest.trim_start().chars().next() {
        rest = rest.trim_start();
        match first {
            '#' | ';' => rest = rest.split_once('\n').map_or("", |(_, rest)| rest),
            '[' => {
                let (name, after) = heading(rest.get(1..)?)?;
                (section, rest) = (Some(name), after);
            }
            _ => {
                let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '-')).unwrap_or(rest.len());
                let (key, after) = rest.split_at_checked(end).filter(|(key, _)| !key.is_empty())?;
                let (value, after) = value(after)?;
                found.push((format!("{}.{}", section.as_ref()?, key.to_lowercase()), value));
                rest = after;
            }
        }
    }
    Some(found)
}

/// `section "subsection"]`, and what follows it.
fn heading(text: &str) -> Option<(String, &str)> {
    let end = text.find(|letter: char| letter == ']' || letter == '"' || letter.is_whitespace())?;
    let (name, rest) = text.split_at_checked(end)?;
    let rest = rest.trim_start_matches([' ', '\t']);
    if let Some(rest) = rest.strip_prefix(']') {
        return Some((name.to_lowercase(), rest));
    }
    let (mut subsection, mut letters) = (String::new(), rest.strip_prefix('"')?.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => subsection.push(letters.next()?.1),
            '"' => {
                let after = rest.get(at + 2..)?.trim_start_matches([' ', '\t']).strip_prefix(']')?;
                return Some((format!("{}.{subsection}", name.to_lowercase()), after));
            }
            letter => subsection.push(letter),
        }
    }
    None
}

/// ` = value` with its quotes, comments and continued lines, and what follows it. A key alone is true.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(text) = text.strip_prefix('=') else {
        return (text.is_empty() || text.starts_with(['\n', '#', ';'])).then(|| ("true".to_owned(), text));
    };
    let (mut value, mut quoted, mut comment) = (String::new(), false, false);
    let text = text.trim_start_matches([' ', '\t']);
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' => return (!quoted).then(|| (value.trim_end().to_owned(), text.get(at..).unwrap_or_default())),
            _ if comment => {}
            '\\' => match letters.next()?.1 {
                '\n' => {}
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'b' => drop(value.pop()),
                letter @ ('"' | '\\') => value.push(letter),
                _ => return None,
            },
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => comment = true,
            letter => value.push(letter),
        }
    }
    (!quoted).then(|| (value.trim_end().to_owned(), ""))
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
    seen: BTreeSet<Vec<u8>>,
}

impl Followed {
    /// Whether git would run what lies at this path.
    pub fn runs(&self, path: &[u8]) -> bool {
        self.programs.contains(path) || self.hooks.iter().any(|hooks| path != hooks.as_slice() && is_at_or_below(path, hooks))
    }

    /// Follows the user's configuration, for a repository at `work`.
    pub fn user(&mut self, home: &[u8], work: &[u8]) {
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
            if self.seen.len() >= FILES_MAX || !self.seen.insert(path.clone()) {
                continue;
            }
            let Some(settings) = real(&path).and_then(|path| content(&path)).and_then(|bytes| settings(&bytes)) else { continue };
            for (key, value) in settings {
                let value = value.as_bytes();
                if key == "include.path" || (key.starts_with("includeif.") && key.ends_with(".path")) {
                    let included = real_or_clean(&expanded(value, above(&path), home));
                    ahead.push(included.clone());
                    self.included.insert(included);
                } else if key == "core.hookspath" {
                    self.hooks.insert(real_or_clean(&expanded(value, work, home)));
                } else {
                    self.words(value, work, home);
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

/// A path as git reads it in configuration, made absolute.
fn expanded(value: &[u8], start: &[u8], home: &[u8]) -> Vec<u8> {
    match (value.strip_prefix(b"~/"), value.first()) {
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_read_as_git_reads_it() {
        let text = "[core] FsMonitor = \"a # b\" # c\n bare\n[Alias \"x\\\"y.Z\"]\n\tgo = !sh \\\n -c id ; d\n[a.b]\nk=\n";
        let found = settings(text.as_bytes()).unwrap();
        let expected = [("core.fsmonitor", "a # b"), ("core.bare", "true"), ("alias.x\"y.Z.go", "!sh  -c id"), ("a.b.k", "")];
        assert_eq!(found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
        assert!(settings(b"[core\nx = 1").is_none());
        assert!(settings(b"x = 1").is_none());
    }
}
