//! What a pattern says of names below a directory, and what it loses when they are reached through a symlink instead.
//!
//! Rules are asked about the name that the kernel resolved. A file seen as `.tool/settings` through a symlink `.tool` is resolved as
//! something else, so whoever makes the symlink makes that name, without any object of it being made. Left out: what is resolved (the door).

use crate::glob::Glob;
use crate::pattern::{Component, Pattern};

/// A name below `name` that the pattern matches as long as `name` is a directory, and no more when it is a symlink to `target`: then the
/// same name below `target` is what the pattern is asked about. Both are absolute and clean. `None`: the pattern loses nothing.
pub fn lost(pattern: &Pattern, name: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if !could_lose(pattern, name) {
        return None;
    }
    let parts = parts(pattern);
    let (here, there) = (states(&parts, name), states(&parts, target));
    let mut states = here.iter().zip(&there).take(parts.len());
    let state = states.position(|(here, there)| *here && !*there)?;
    Some([name, &sample(parts.get(state..).unwrap_or_default())].concat())
}

/// What is left of the pattern below `name`, as texts to put behind the path of what `name` leads to: the empty text where it matches `name`
/// itself. What `target` is asked about as well is left out: there the pattern holds by itself.
pub fn left(pattern: &Pattern, name: &[u8], target: &[u8]) -> Vec<Vec<u8>> {
    if !could_lose(pattern, name) {
        return Vec::new();
    }
    let parts = parts(pattern);
    let (here, there) = (states(&parts, name), states(&parts, target));
    let texts = texts(pattern);
    let is_covered = |state: usize| {
        let before = state.checked_sub(1).filter(|before| here.get(*before) == Some(&true));
        before.is_some_and(|before| parts.get(before) == Some(&Part::Depth))
    };
    let lost = here.iter().zip(&there).enumerate().filter(|(_, (here, there))| **here && !**there).map(|(state, _)| state);
    lost.filter(|state| !is_covered(*state))
        .map(|state| texts.iter().skip(state).flat_map(|text| [b"/".as_slice(), text]).collect::<Vec<_>>().concat())
        .collect()
}

/// The texts of its components; a `**` that follows another is not one.
fn texts(pattern: &Pattern) -> Vec<&[u8]> {
    let mut texts: Vec<&[u8]> = names(&pattern.text().0).collect();
    texts.dedup_by(|one, other| *one == b"**" && other == one);
    texts
}

/// Whether the name has any part in the pattern: nearly none has, and this is asked of each pattern for each link.
fn could_lose(pattern: &Pattern, name: &[u8]) -> bool {
    let (prefix, name) = (pattern.prefix(), if name == b"/" { b"" } else { name });
    match pattern.rest() {
        [Component::Depth, Component::Name(first), ..] if prefix.is_empty() => names(name).any(|part| first.matches(part)),
        _ => begins(name, prefix) || begins(prefix, name),
    }
}

/// Whether a path is `directory` or lies below it.
fn begins(path: &[u8], directory: &[u8]) -> bool {
    matches!(path.strip_prefix(directory), Some([] | [b'/', ..]))
}

/// What the pattern asks for below a directory called `name`: the plainest paths that it would match there, each behind a `/`.
pub fn asked(pattern: &Pattern, name: &[u8]) -> Vec<Vec<u8>> {
    if !could_ask(pattern, name) {
        return Vec::new();
    }
    let parts = parts(pattern);
    let states = states(&parts, name).into_iter().take(parts.len()).enumerate();
    let mut found: Vec<Vec<u8>> =
        states.filter(|(_, alive)| *alive).map(|(state, _)| sample(parts.get(state..).unwrap_or_default())).collect();
    found.dedup();
    found
}

/// Whether the pattern could match the name, or something below it: it begins there, or leads there.
fn could_ask(pattern: &Pattern, name: &[u8]) -> bool {
    let (prefix, name) = (pattern.prefix(), if name == b"/" { b"" } else { name });
    begins(name, prefix) || begins(prefix, name)
}

/// What one name must be, or `**`.
#[derive(Clone, Copy, PartialEq)]
enum Part<'p> {
    Depth,
    Text(&'p [u8]),
    Name(&'p Glob),
}

/// The names of its literal start and the rest, alike.
fn parts(pattern: &Pattern) -> Vec<Part<'_>> {
    let rest = pattern.rest().iter().map(|component| match component {
        Component::Depth => Part::Depth,
        Component::Name(glob) => Part::Name(glob),
    });
    names(pattern.prefix()).map(Part::Text).chain(rest).collect()
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// How many parts may have been taken when all of `path` is: a mark for each number.
fn states(parts: &[Part<'_>], path: &[u8]) -> Vec<bool> {
    let mut alive = vec![false; parts.len() + 1];
    let mut next = alive.clone();
    alive.first_mut().into_iter().for_each(|first| *first = true);
    close(parts, &mut alive);
    for name in names(path) {
        next.fill(false);
        for (index, part) in parts.iter().enumerate().filter(|(index, _)| alive.get(*index) == Some(&true)) {
            let taken = match part {
                Part::Depth => index,
                Part::Text(text) if *text == name => index + 1,
                Part::Name(glob) if glob.matches(name) => index + 1,
                Part::Text(_) | Part::Name(_) => continue,
            };
            next.get_mut(taken).into_iter().for_each(|state| *state = true);
        }
        close(parts, &mut next);
        std::mem::swap(&mut alive, &mut next);
    }
    alive
}

/// A `**` may take nothing: whoever stands before it also stands after it.
fn close(parts: &[Part<'_>], alive: &mut [bool]) {
    for (index, part) in parts.iter().enumerate() {
        if *part == Part::Depth && alive.get(index) == Some(&true) {
            alive.get_mut(index + 1).into_iter().for_each(|state| *state = true);
        }
    }
}

/// The plainest path that these parts match, each of its names behind a `/`; at least one.
fn sample(parts: &[Part<'_>]) -> Vec<u8> {
    let mut path = Vec::new();
    for part in parts {
        match part {
            Part::Depth => {}
            Part::Text(text) => path.extend([b"/", *text].concat()),
            Part::Name(glob) => path.extend([b"/".as_slice(), &glob.sample()].concat()),
        }
    }
    if path.is_empty() { b"/x".to_vec() } else { path }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::bytes::Bytes;

    fn lost_by(pattern: &str, name: &str, target: &str) -> Option<String> {
        let pattern = Pattern::compile(&Bytes(pattern.into())).unwrap();
        lost(&pattern, name.as_bytes(), target.as_bytes()).map(|name| String::from_utf8(name).unwrap())
    }

    #[test]
    fn a_link_in_the_place_of_a_named_directory_is_what_the_names_below_it_are() {
        let lost = |pattern, name| lost_by(pattern, name, "/w/ready").unwrap();
        assert_eq!(lost("**/.tool/settings.json", "/w/.tool"), "/w/.tool/settings.json");
        assert_eq!(lost("**/.git/hooks/*", "/w/.git"), "/w/.git/hooks/x");
        assert_eq!(lost("**/.git/hooks/*", "/w/.git/hooks"), "/w/.git/hooks/x");
        assert_eq!(lost("/h/.config/tool/**", "/h/.config"), "/h/.config/tool");
        assert_eq!(lost("**/.ide/**/[mn]*.json", "/w/.ide/deep"), "/w/.ide/deep/mx.json");
    }

    #[test]
    fn what_is_left_of_a_pattern_is_put_behind_what_a_link_leads_to() {
        let left = |pattern: &str, name: &str, target: &str| {
            let pattern = Pattern::compile(&Bytes(pattern.into())).unwrap();
            left(&pattern, name.as_bytes(), target.as_bytes())
                .iter()
                .map(|text| String::from_utf8(text.clone()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(left("**/.tool/set*.json", "/w/.tool", "/w/src"), ["/set*.json"]);
        assert_eq!(left("**/.tool/**", "/w/.tool", "/w/src"), ["/**"]);
        assert_eq!(left("**/.tool/**/x", "/w/.tool/deep", "/w/src"), ["/**/x"]);
        assert_eq!(left("**/.env", "/w/.env", "/w/prod"), [""]);
        assert_eq!(left("/w/a/b", "/w/a", "/w/c"), ["/b"]);
        assert_eq!(left("**/.tool/x", "/w/.tool", "/w/pkg/.tool"), Vec::<String>::new());
        assert_eq!(left("**/.tool/x", "/w/other", "/w/src"), Vec::<String>::new());
    }

    #[test]
    fn a_pattern_that_the_target_meets_as_well_loses_nothing() {
        assert_eq!(lost_by("**/.env", "/w/link", "/elsewhere"), None);
        assert_eq!(lost_by("**/.tool/settings.json", "/w/.tool", "/w/other/.tool"), None);
        assert_eq!(lost_by("**/.tool/settings.json", "/w/tool", "/w/ready"), None);
        assert_eq!(lost_by("/w/**/.env", "/w/link", "/w/ready"), None);
        assert_eq!(lost_by("/w/**/.env", "/w/link", "/tmp/ready"), Some("/w/link/.env".into()));
        assert_eq!(lost_by("/h/.ssh/id", "/h/.ssh/id", "/w/x"), None);
    }

    #[test]
    fn what_a_pattern_asks_for_below_a_directory() {
        let asked_by = |pattern: &str, name: &str| asked(&Pattern::compile(&Bytes(pattern.into())).unwrap(), name.as_bytes());
        assert_eq!(asked_by("**/.tool/settings.json", "/w/x"), [b"/.tool/settings.json"]);
        assert_eq!(asked_by("**/.tool/settings.json", "/w/.tool"), [b"/.tool/settings.json".to_vec(), b"/settings.json".to_vec()]);
        assert!(asked_by("/h/.ssh/id", "/w/x").is_empty());
    }
}
