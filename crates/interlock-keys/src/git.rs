//! Git configuration, read as git reads it (git-config(1), and the order of things in its parser).
//!
//! One value is judged by where its file stands: `core.worktree` of a submodule's directory that leads to the folder of the same name, where git puts it,
//! is read as `core.OWN.worktree` ([`OWN`]).
//! Left out: what an `include` names, and where a value is a number or a truth. To compare keys, a subsection that is there and empty (`[core ""]`) is
//! refused: for git it is another section than `[core]`, and nobody writes it.

use super::Keys;

/// What git takes for white space.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Stands in place of a subsection where `core.worktree` leads to the submodule's own folder.
const OWN: &str = "of-module";
/// Where git keeps the directories of submodules (gitrepository-layout(5)), within `.git` and within each of them.
const MODULES: &str = "modules";

/// One setting, in the order of the file: section and key in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Setting {
    pub section: String,
    /// Everything between section and key. One that is there and empty is another than none.
    pub subsection: Option<String>,
    pub key: String,
    /// A key alone is true.
    pub value: String,
}

impl Setting {
    fn of(heading: &str, key: &str, value: String) -> Self {
        let (section, subsection) = heading.split_once('.').map_or((heading, None), |(section, rest)| (section, Some(rest.to_owned())));
        Self { section: section.to_owned(), subsection, key: key.to_lowercase(), value }
    }

    /// Its name in one: `section.subsection.key`.
    #[must_use]
    pub fn name(&self) -> String {
        let Self { section, subsection, key, .. } = self;
        subsection.as_ref().map_or_else(|| format!("{section}.{key}"), |subsection| format!("{section}.{subsection}.{key}"))
    }
}

/// Settings of one name are all of its values, in order, a line each: a value of two lines is not two values. What stands behind an `include` outdoes
/// what that brings, so how many stand before a value belongs to it.
pub(crate) fn read(text: &str, name: &[u8]) -> Result<Keys, String> {
    let own = own_places(name);
    if text.contains('\0') {
        return Err("it holds a zero byte".to_owned());
    }
    let (mut keys, mut includes) = (Keys::new(), 0_usize);
    for Setting { section, subsection, key, value } in settings(text).ok_or_else(|| "git would not read it".to_owned())? {
        if section.is_empty() || subsection.as_ref().is_some_and(String::is_empty) {
            return Err("a section or subsection has no name".to_owned());
        }
        let mut subsection = subsection.unwrap_or_default();
        let mut value = value.replace('\\', "\\\\").replace('\n', "\\n");
        if includes > 0 {
            // No value ends so: a backslash in one is doubled.
            value.push_str(&format!(" \\(included before: {includes})"));
        }
        if (section.as_str(), subsection.as_str(), key.as_str()) == ("core", "", "worktree") && own.contains(&value) {
            OWN.clone_into(&mut subsection);
        }
        includes += usize::from(matches!(section.as_str(), "include" | "includeif") && key == "path");
        keys.entry(vec![section, subsection, key]).and_modify(|all| *all = format!("{all}\n{value}")).or_insert(value);
    }
    Ok(keys)
}

/// What `core.worktree` of the configuration at `name` says where it leads to the submodule's own folder, beside `.git`. Nothing where `name` is none of a
/// submodule's, or where a part of it could be something that rules know: it begins with a dot.
fn own_places(name: &[u8]) -> Vec<String> {
    let Some(module) = module(name) else { return Vec::new() };
    let up = "../".repeat(module.len() + 2);
    let place = |parts: Vec<&str>| format!("{up}{}", parts.join("/"));
    // A submodule within a submodule lies in the `modules` of that.
    let nested = module.iter().copied().enumerate().filter(|(at, part)| at % 2 == 0 || *part != MODULES).map(|(_, part)| part).collect();
    vec![place(module.clone()), place(nested)]
}

/// The parts of a name between `.git/modules` and `config`.
pub(crate) fn module(name: &[u8]) -> Option<Vec<&str>> {
    let name = std::str::from_utf8(name).ok()?;
    let (_, within) = name.split_once("/.git/modules/")?;
    let parts: Vec<&str> = within.strip_suffix("/config")?.split('/').collect();
    parts.iter().all(|part| !part.is_empty() && !part.starts_with('.')).then_some(parts)
}

/// The settings of a file. `None`: git would refuse it.
#[must_use]
pub fn settings(text: &str) -> Option<Vec<Setting>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let (mut found, mut section) = (Vec::new(), None::<String>);
    let mut rest = text.trim_start_matches(SPACE);
    while let Some(first) = rest.chars().next() {
        match first {
            '#' | ';' => rest = rest.split_once('\n').map_or("", |(_, rest)| rest),
            '[' => {
                let (name, after) = heading(rest.get(1..)?)?;
                (section, rest) = (Some(name), after);
            }
            first if first.is_ascii_alphabetic() => {
                let end = rest.find(|letter: char| !is_of_key(letter)).unwrap_or(rest.len());
                let (key, after) = rest.split_at_checked(end)?;
                let (value, after) = value(after)?;
                found.push(Setting::of(section.as_deref()?, key, value));
                rest = after;
            }
            _ => return None,
        }
        rest = rest.trim_start_matches(SPACE);
    }
    Some(found)
}

fn is_of_key(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '-'
}

/// `section "subsection"]` as `section.subsection`, and what follows it.
fn heading(text: &str) -> Option<(String, &str)> {
    let end = text.find(|letter: char| !is_of_key(letter) && letter != '.')?;
    let (name, rest) = text.split_at_checked(end)?;
    let name = name.to_lowercase();
    if let Some(rest) = rest.strip_prefix(']') {
        return Some((name, rest));
    }
    let quoted = rest.trim_start_matches([' ', '\t', '\r']);
    if quoted.len() == rest.len() {
        return None;
    }
    let quoted = quoted.strip_prefix('"')?;
    let (mut subsection, mut letters) = (String::new(), quoted.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' => return None,
            '\\' => subsection.push(letters.next().map(|(_, letter)| letter).filter(|letter| *letter != '\n')?),
            '"' => return Some((format!("{name}.{subsection}"), quoted.get(at + 1..)?.strip_prefix(']')?)),
            letter => subsection.push(letter),
        }
    }
    None
}

/// ` = value` with its quotes, comments and continued lines, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let Some(text) = text.strip_prefix('=') else {
        return (text.is_empty() || text.starts_with('\n')).then(|| ("true".to_owned(), text));
    };
    let (mut value, mut quoted, mut comment) = (String::new(), false, false);
    // Where white space began that may turn out to be at the end.
    let mut ends = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' => return (!quoted).then(|| (trimmed(value, ends), text.get(at..).unwrap_or_default())),
            _ if comment => {}
            letter if SPACE.contains(&letter) && !quoted => {
                ends = ends.or(Some(value.len()));
                if !value.is_empty() {
                    value.push(letter);
                }
            }
            '#' | ';' if !quoted => comment = true,
            '\\' => {
                ends = None;
                match letters.next().map_or('\n', |(_, letter)| letter) {
                    '\n' => {}
                    't' => value.push('\t'),
                    'n' => value.push('\n'),
                    'b' => value.push('\u{8}'),
                    letter @ ('"' | '\\') => value.push(letter),
                    _ => return None,
                }
            }
            '"' => (ends, quoted) = (None, !quoted),
            letter => {
                ends = None;
                value.push(letter);
            }
        }
    }
    (!quoted).then(|| (trimmed(value, ends), ""))
}

fn trimmed(mut value: String, ends: Option<usize>) -> String {
    value.truncate(ends.unwrap_or(value.len()));
    value
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_read_as_git_reads_it() {
        let text = "[core] FsMonitor = \"a # b\" # c\n bare\n[Alias \"x\\\"y.Z\"]\n\tgo = !sh \\\n -c id ; d\n[a.B]\nk=\n";
        let found: Vec<String> = settings(text).unwrap().into_iter().map(|of| format!("{}|{}", of.name(), of.value)).collect();
        assert_eq!(found, ["core.fsmonitor|a # b", "core.bare|true", "alias.x\"y.Z.go|!sh  -c id", "a.b.k|"]);
        let odd = settings("[a \"\"]\nk=v\\b \r\t; c\n[a.]\nk = \r\" \"\r\n").unwrap();
        let odd: Vec<(String, &str)> = odd.iter().map(|of| (of.name(), of.value.as_str())).collect();
        assert_eq!(odd, [("a..k".to_owned(), "v\u{8}"), ("a..k".to_owned(), " ")]);
        for refused in ["[core", "[core ]", "k = v", "[a]\nk = \"v", "[a]\n1k = v", "[a]\nk # c\n", "[a \"b\" ]\nk=v", "[a]\nk = \\x"] {
            assert_eq!(settings(refused), None, "{refused}");
        }
    }
}
