//! Files that are compared key by key: git configuration and JSON, as far as it takes to say which keys name something that runs.
//!
//! INVARIANT: two keys have two names, and all values of one are compared: a name that spells another key does not stand in for it.
//! Left out: what the values do. A file that cannot be read as what it should be has no keys, and is then listed whole.

use crate::wire::messages::{Format, KeysOf};
use serde_json::Value;
use std::collections::BTreeMap;

/// Of a name or value, in characters.
const VALUE_CHARACTERS_MAX: usize = 200;
/// Of the keys that are told of one file: how many, and in how many bytes of a record.
const TOLD_MAX: usize = 64;
const TOLD_BYTES: usize = 16 * 1024;
/// Of JSON: how deep keys are told apart.
const DEPTH_MAX: usize = 3;

/// Keys by their dotted names, with all their values in order, as text.
pub type Keys = BTreeMap<String, Vec<String>>;
/// Keys with their values in one text, as people are told, and how many more there are.
#[derive(Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Told {
    pub keys: BTreeMap<String, String>,
    pub more: u64,
}

/// The keys of a file.
pub fn keys(format: Format, bytes: &[u8]) -> Option<Keys> {
    match format {
        Format::Git => super::git::settings(bytes).map(|settings| {
            let mut keys = Keys::new();
            for (key, value) in settings {
                keys.entry(key).or_default().push(value);
            }
            keys
        }),
        Format::Json => {
            let mut keys = Keys::new();
            flatten(&serde_json::from_slice(bytes).ok()?, None, 0, &mut keys);
            Some(keys)
        }
    }
}

fn flatten(value: &Value, name: Option<&str>, depth: usize, keys: &mut Keys) {
    match value {
        Value::Object(members) if depth < DEPTH_MAX && !(members.is_empty() && depth > 0) => {
            for (member, value) in members {
                let member = part(member);
                let name = name.map_or_else(|| member.clone(), |name| format!("{name}.{member}"));
                flatten(value, Some(&name), depth + 1, keys);
            }
        }
        value => {
            let text = if let Value::String(text) = value { text.clone() } else { value.to_string() };
            keys.entry(name.unwrap_or_default().to_owned()).or_default().push(text);
        }
    }
}

/// One part of a dotted name: in quotation marks where it could be read as several, or as nothing.
fn part(member: &str) -> String {
    let is_plain = !member.is_empty() && !member.contains(['.', '"', '\\', ' ']);
    if is_plain { member.to_owned() } else { format!("\"{}\"", member.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// Those keys that make something run, or may: changed or new since `before`, each with its value now. Where there are too many, those stay that are
/// known to run something.
pub fn changed(of: &KeysOf, before: Option<&Keys>, now: &Keys) -> Told {
    let differs = |(key, values): &(&String, &Vec<String>)| before.is_none_or(|before| before.get(*key) != Some(values));
    // An address that is another one now: git fetches from there, or sends there, what a person means for the old one.
    let leads_elsewhere = |key: &str| of.format == Format::Git && is_address(key) && before.is_some_and(|before| before.contains_key(key));
    let runs = |(key, values): &(&String, &Vec<String>)| of.matters(key, values) || leads_elsewhere(key);
    let mut found: Vec<(&String, &Vec<String>)> = now.iter().filter(differs).filter(runs).collect();
    found.sort_by_cached_key(|(key, _)| of.place(key));
    let (mut told, mut bytes) = (Told::default(), 0);
    for (key, values) in found {
        if told.keys.len() >= TOLD_MAX || bytes > TOLD_BYTES {
            told.more += 1;
            continue;
        }
        let (key, value) = (shortened(&shown(of, key)), shortened(&shown(of, &values.join("; "))));
        bytes += Value::from(key.as_str()).to_string().len() + Value::from(value.as_str()).to_string().len();
        if bytes > TOLD_BYTES || told.keys.contains_key(&key) {
            told.more += 1;
        } else {
            told.keys.insert(key, value);
        }
    }
    told
}

/// As people read it.
fn shown(of: &KeysOf, text: &str) -> String {
    match of.format {
        Format::Git => String::from_utf8_lossy(&super::git::bytes(text)).into_owned(),
        Format::Json => text.to_owned(),
    }
}

/// The two ends of a long text: a key's own name is the last part of it.
fn shortened(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let (start, end) = (VALUE_CHARACTERS_MAX / 2, letters.len().saturating_sub(VALUE_CHARACTERS_MAX / 2));
    match (letters.get(..start), letters.get(end..)) {
        (Some(first), Some(last)) if letters.len() > VALUE_CHARACTERS_MAX => first.iter().chain(['…'].iter()).chain(last).collect(),
        _ => text.to_owned(),
    }
}

impl KeysOf {
    /// In which place a key is told: those first that are known to run something, or to lead to what does.
    fn place(&self, key: &str) -> usize {
        self.first.iter().position(|pattern| fits(pattern, key)).unwrap_or(self.first.len())
    }

    /// Whether a key, with these values, may make something run.
    fn matters(&self, key: &str, values: &[String]) -> bool {
        let is_any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, key));
        if !self.named.is_empty() {
            return is_any(&self.named);
        }
        // A remote helper is a program, and so is what begins with `!`; a dash is an option of the program that is handed the value.
        let is_program = |value: &str| value.contains("::") || value.starts_with(['!', '-']) || (is_address(key) && is_path(value));
        !is_any(&self.harmless) || (self.format == Format::Git && values.iter().any(|value| is_program(value)))
    }
}

fn is_address(key: &str) -> bool {
    key.ends_with(".url") || key.ends_with(".pushurl")
}

/// Whether git would take an address for a repository on this machine, whose hooks and configuration it then heeds: no host stands before a colon.
fn is_path(address: &str) -> bool {
    address.starts_with("file://") || address.split('/').next().is_none_or(|first| !first.contains(':'))
}

/// A `*` in a pattern stands for any text.
fn fits(pattern: &str, key: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = key.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(format: Format, harmless: &[&str]) -> KeysOf {
        KeysOf {
            format,
            named: Vec::new(),
            harmless: harmless.iter().map(|text| (*text).to_owned()).collect(),
            first: vec!["core.fsmonitor".to_owned()],
        }
    }

    #[test]
    fn what_is_not_known_to_be_harmless_is_named() {
        let before = keys(Format::Git, b"[user]\nname = a\n[core]\nfsmonitor = x\n").unwrap();
        let now = keys(Format::Git, b"[user]\nname = b\n[core]\nfsmonitor = x\n\thooksPath = y\n[branch \"a.b\"]\nremote=o\n").unwrap();
        let found = changed(&of(Format::Git, &["user.name", "branch.*.remote"]), Some(&before), &now);
        assert_eq!(found.keys.keys().collect::<Vec<_>>(), ["core.hookspath"]);
        let remote = keys(Format::Git, b"[remote \"o\"]\nurl = ext::sh -c id\n").unwrap();
        assert_eq!(changed(&of(Format::Git, &["remote.*.url"]), None, &remote).keys.len(), 1);
        for (address, is_named) in
            [("../g", true), ("/g", true), ("file:///g", true), ("./a:b", true), ("a:b", false), ("https://a/b", false)]
        {
            let remote = keys(Format::Git, format!("[remote \"o\"]\nurl = {address}\n").as_bytes()).unwrap();
            assert_eq!(changed(&of(Format::Git, &["remote.*.url"]), None, &remote).keys.len(), usize::from(is_named), "{address}");
        }
    }

    #[test]
    fn an_address_that_is_another_one_now_is_named() {
        let of = of(Format::Git, &["remote.*.url"]);
        let remote = |address: &str| keys(Format::Git, format!("[remote \"o\"]\nurl = https://{address}\n").as_bytes()).unwrap();
        let none = keys(Format::Git, b"[core]\nbare = false\n").unwrap();
        for (before, is_named) in [(remote("a"), true), (remote("b"), false), (none, false)] {
            assert_eq!(changed(&of, Some(&before), &remote("b")).keys.len(), usize::from(is_named));
        }
    }

    #[test]
    fn a_pattern_may_hold_several_stars() {
        for (pattern, key, does) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a.*", "a.b", true),
            ("projects.*mcpServers*", "projects./home/x.mcpServers", true),
            ("projects.*mcpServers*", "projects./home/x.mcpServers.y", true),
            ("projects.*mcpServers*", "projects./home/x.history", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, key), does, "{pattern} {key}");
        }
    }

    #[test]
    fn json_is_told_apart_three_keys_deep() {
        let now = keys(Format::Json, br#"{"name": "x", "scripts": {"test": "evil"}, "a": {"b": {"c": {"d": 1}}}}"#).unwrap();
        let found = changed(&of(Format::Json, &["name"]), None, &now);
        assert_eq!(
            found.keys.into_iter().collect::<Vec<_>>(),
            [("a.b.c".into(), "{\"d\":1}".into()), ("scripts.test".to_owned(), "evil".to_owned())]
        );
        assert!(keys(Format::Json, b"// comment").is_none());
    }

    #[test]
    fn no_key_stands_in_for_another_by_how_it_is_spelled() {
        let before = keys(Format::Json, br#"{"scripts": {"test": "good"}}"#).unwrap();
        for now in [
            r#"{"scripts": {"test": "evil"}, "scripts.test": "good"}"#,
            r#"{"scripts.test": "good", "scripts": {"test": "evil"}}"#,
            r#"{"": {"scripts": {"test": "good"}}, "scripts": {"test": "evil"}}"#,
        ] {
            let found = changed(&of(Format::Json, &[]), Some(&before), &keys(Format::Json, now.as_bytes()).unwrap());
            assert_eq!(found.keys.get("scripts.test").map(String::as_str), Some("evil"), "{now}");
        }
    }

    #[test]
    fn several_values_are_not_taken_for_one() {
        let before = keys(Format::Git, b"[alias]\nst = !echo; status\n").unwrap();
        let now = keys(Format::Git, b"[alias]\nst = !echo\nst = status\n").unwrap();
        assert_eq!(changed(&of(Format::Git, &[]), Some(&before), &now).keys.len(), 1);
    }
    #[test]
    fn many_keys_and_long_ones_do_not_crowd_out_what_runs() {
        let long = "x".repeat(100_000);
        let many: String = (0..3_000).map(|number| format!("[a \"{number}{long}\"]\nk = {long}\n")).take(20).collect();
        let few: String = (0..3_000).map(|number| format!("[a \"{number}\"]\nk = v\n")).collect();
        for text in [many, few] {
            let now = keys(Format::Git, format!("{text}[core]\nfsmonitor = evil\n").as_bytes()).unwrap();
            let found = changed(&of(Format::Git, &[]), None, &now);
            assert_eq!(found.keys.get("core.fsmonitor").map(String::as_str), Some("evil"));
            assert_eq!(found.keys.len() as u64 + found.more, now.len() as u64);
            assert!(serde_json::json!(found.keys).to_string().len() < TOLD_BYTES + 4 * VALUE_CHARACTERS_MAX);
        }
    }
}
