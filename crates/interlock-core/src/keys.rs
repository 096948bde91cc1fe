//! `keys`: what narrows a rule to acts that would change certain keys of a structured file.
//!
//! A key is named from the outside in, its names joined by `.`; each may be a glob, `\.` is a dot within a name, and a key stands for all below it.
//! Of git configuration a key has a section, perhaps a subsection, and a name: `core.hooksPath`, `remote.*.url`.

use crate::content::{Change, Content, Format, Reading};
use crate::glob::Glob;
use crate::verb::Verb;
use crate::wire;

/// What begins the value of a git setting that is a command or an option, whatever its key.
const COMMANDS: [char; 2] = ['!', '-'];
/// What marks a remote that a program of its own serves (gitremote-helpers(7)).
const HELPER: &str = "::";

/// Which keys a rule is about: those named, or all but the excepted.
#[derive(Clone, Debug)]
pub struct Keys {
    /// How the files are written.
    pub format: Format,
    named: Vec<KeyPattern>,
    except: Vec<KeyPattern>,
}

/// What a rule's keys say of one end of an act.
pub(crate) type Concern = Result<bool, String>;

impl Keys {
    /// Reads the selector as it is written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(wire: wire::Keys) -> Result<Self, String> {
        if wire.named.is_empty() == wire.except.is_empty() {
            return Err("`keys` takes one of `named` and `except`, with values".into());
        }
        let each = |texts: &[String]| texts.iter().map(|text| KeyPattern::compile(wire.format, text)).collect::<Result<Vec<_>, _>>();
        Ok(Self { format: wire.format, named: each(&wire.named)?, except: each(&wire.except)? })
    }

    /// Whether a change of this key is the rule's concern. Git takes some values for commands, whatever the key.
    #[must_use]
    pub fn concern(&self, change: &Change) -> bool {
        let is_any = |patterns: &[KeyPattern]| patterns.iter().any(|pattern| pattern.covers(&change.key));
        if !self.named.is_empty() {
            return is_any(&self.named) || self.named.iter().any(|pattern| pattern.lies_below(&change.key));
        }
        let runs = |value: &str| value.lines().any(|line| line.contains(HELPER) || line.starts_with(COMMANDS));
        !is_any(&self.except) || (self.format == Format::Git && change.to.as_deref().is_some_and(runs))
    }

    /// Whether an act that would have this content is the rule's concern.
    ///
    /// # Errors
    /// Why nobody can say.
    pub(crate) fn concern_of(&self, content: Option<&Content>) -> Concern {
        match content {
            Some(Content::Held) => Ok(false),
            Some(Content::Read(readings)) => match readings.get(&self.format) {
                Some(Reading::Changes(changes)) => Ok(changes.iter().any(|change| self.concern(change))),
                Some(Reading::Unreadable(why)) => Err(format!("the file cannot be compared as {}: {why}", self.format.name())),
                None => Err(format!("the file was not read as {}", self.format.name())),
            },
            None => Err("it is not known which keys would change; write a file beside it and rename that over it".into()),
        }
    }
}

/// Whether an act with this verb puts other content at a name.
#[must_use]
pub fn changes_content(verb: Verb) -> bool {
    verb.is_file() && !matches!(verb, Verb::FileRead | Verb::FileChmod | Verb::FileChown | Verb::FileXattr | Verb::FileUtime)
}

/// A key, each of its names a glob.
#[derive(Clone, Debug)]
struct KeyPattern {
    names: Vec<Glob>,
    /// Whether nothing but the very key is meant: what has three names has no key below it.
    exact: bool,
}

impl KeyPattern {
    fn compile(format: Format, text: &str) -> Result<Self, String> {
        let mut names = split(text);
        if names.iter().any(String::is_empty) {
            return Err(format!("`{text}` is not a key"));
        }
        let exact = format == Format::Git && names.len() > 1;
        if exact {
            names = section_and_key(names);
        }
        let glob = |name: &String| Glob::compile(name.as_bytes()).map_err(|why| format!("the key `{text}` has {why}"));
        Ok(Self { names: names.iter().map(glob).collect::<Result<_, _>>()?, exact })
    }

    /// Whether the key is this one or lies below it.
    fn covers(&self, key: &[String]) -> bool {
        let matches = |(name, own): (&String, &Glob)| own.matches(name.as_bytes());
        (self.names.len() == key.len() || (!self.exact && self.names.len() < key.len())) && key.iter().zip(&self.names).all(matches)
    }

    /// Whether this key lies below `key`, so that a value there replaces whatever it had.
    fn lies_below(&self, key: &[String]) -> bool {
        self.names.len() > key.len() && key.iter().zip(&self.names).all(|(name, own)| own.matches(name.as_bytes()))
    }
}

/// Section and key without regard to case, with all that lies between as the subsection.
fn section_and_key(mut names: Vec<String>) -> Vec<String> {
    let key = names.pop().unwrap_or_default();
    let section = if names.is_empty() { String::new() } else { names.remove(0) };
    vec![section.to_lowercase(), names.join("."), key.to_lowercase()]
}

/// The names of a key: divided at each dot that no `\` stands before.
fn split(text: &str) -> Vec<String> {
    let (mut names, mut name, mut letters) = (Vec::new(), String::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '.' => names.push(std::mem::take(&mut name)),
            '\\' => match letters.next() {
                Some('.') => name.push('.'),
                next => name.extend(std::iter::once('\\').chain(next)),
            },
            letter => name.push(letter),
        }
    }
    names.push(name);
    names
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn keys(format: Format, named: &[&str], except: &[&str]) -> Keys {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Keys::compile(wire::Keys { format, named: texts(named), except: texts(except) }).unwrap()
    }

    fn change(key: &[&str], to: Option<&str>) -> Change {
        Change { key: key.iter().map(|name| (*name).to_owned()).collect(), to: to.map(str::to_owned) }
    }

    #[test]
    fn a_key_stands_for_all_below_it_and_a_value_above_it_replaces_it() {
        let guarded = keys(Format::Json, &["hooks", "projects.*.mcpServers", r"a\.b"], &[]);
        for key in [&["hooks"][..], &["hooks", "x", "y"], &["projects", "/w", "mcpServers", "evil"], &["projects", "/w"], &["a.b"]] {
            assert!(guarded.concern(&change(key, Some("1"))), "{key:?}");
        }
        for key in [&["hook"][..], &["projects", "/w", "history"], &["a", "b"], &["x", "hooks"]] {
            assert!(!guarded.concern(&change(key, Some("1"))), "{key:?}");
        }
    }

    #[test]
    fn a_git_setting_is_excepted_by_its_very_name() {
        let guarded = keys(Format::Git, &[], &["user.name", "remote.*.url", "branch.autosetupmerge"]);
        assert!(!guarded.concern(&change(&["user", "", "name"], Some("a"))));
        assert!(!guarded.concern(&change(&["remote", "or.ig", "url"], Some("https://x"))));
        assert!(guarded.concern(&change(&["remote", "o", "url"], Some("ext::sh -c id"))));
        assert!(guarded.concern(&change(&["user", "", "name"], Some("-x"))));
        assert!(guarded.concern(&change(&["user", "name", "name"], Some("a"))));
        assert!(guarded.concern(&change(&["branch", "autosetupmerge", "mergeoptions"], Some("a"))));
        assert!(guarded.concern(&change(&["core", "", "fsmonitor"], None)));
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let guarded = keys(Format::Json, &["hooks"], &[]);
        assert!(guarded.concern_of(None).is_err());
        assert!(guarded.concern_of(Some(&Content::Read([(Format::Git, Reading::Changes(Vec::new()))].into()))).is_err());
        assert!(guarded.concern_of(Some(&Content::Read([(Format::Json, Reading::Unreadable("x".into()))].into()))).is_err());
        assert_eq!(guarded.concern_of(Some(&Content::Held)), Ok(false));
    }
}
