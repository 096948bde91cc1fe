//! The patterns that are looked for in the workspace, all at once: how far each has come at a folder, so that one walk serves every rule.
//!
//! Left out: what a pattern says of other places; such a one is not asked about a single name.

use interlock_core::glob::Glob;
use interlock_core::pattern::{Component, Pattern};
use std::collections::HashMap;

/// A pattern, and how many of its components are taken. One that begins with `**/` and has taken nothing yet is not kept: it begins anew at
/// every name.
pub(crate) type States = Vec<(u32, u16)>;

/// Patterns to look for.
#[derive(Default)]
pub(crate) struct Wanted {
    patterns: Vec<Vec<Component>>,
    /// Those that begin with `**/`, by the name after it, or by a glob for it.
    by_name: HashMap<Vec<u8>, Vec<u32>>,
    by_glob: Vec<(Glob, u32)>,
    /// What the others have come to at the start, before the first name.
    begun: States,
    /// Whether a pattern's own names are looked for, and not only the links on the way to them.
    names: Vec<bool>,
}

impl Wanted {
    /// Adds a pattern. Gives its number.
    pub fn add(&mut self, pattern: &Pattern) -> u32 {
        let literal = pattern.prefix().split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let literal = literal.map(|name| Component::Name(Glob::Literal(name.to_vec())));
        let components: Vec<Component> = literal.chain(pattern.rest().iter().cloned()).collect();
        let number = u32::try_from(self.patterns.len()).unwrap_or(u32::MAX);
        let is_anywhere = matches!(components.as_slice(), [Component::Depth, Component::Name(_), ..]);
        match components.as_slice() {
            [Component::Depth, Component::Name(Glob::Literal(name)), ..] => self.by_name.entry(name.clone()).or_default().push(number),
            [Component::Depth, Component::Name(glob), ..] => self.by_glob.push((glob.clone(), number)),
            _ => {}
        }
        self.patterns.push(components);
        self.names.push(is_anywhere);
        if !is_anywhere {
            let mut begun = std::mem::take(&mut self.begun);
            self.put(number, 0, &mut begun);
            self.begun = begun;
        }
        number
    }

    /// What the patterns have come to at an absolute path.
    pub fn at(&self, path: &[u8]) -> States {
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        names.fold(self.begun.clone(), |states, name| self.step(&states, name))
    }

    /// What they have come to at a name in a folder.
    pub fn step(&self, states: &States, name: &[u8]) -> States {
        let mut next = States::new();
        for (number, at) in states {
            match self.component(*number, *at) {
                Some(Component::Depth) => self.put(*number, *at, &mut next),
                Some(Component::Name(glob)) if glob.matches(name) => self.put(*number, at + 1, &mut next),
                _ => {}
            }
        }
        for number in self.by_name.get(name).into_iter().flatten() {
            self.put(*number, 2, &mut next);
        }
        for (_, number) in self.by_glob.iter().filter(|(glob, _)| glob.matches(name)) {
            self.put(*number, 2, &mut next);
        }
        if next.len() > 1 {
            next.sort_unstable();
            next.dedup();
        }
        next
    }

    /// The patterns that match the name at which they have come to this, and whose names are looked for.
    pub fn matched<'a>(&'a self, states: &'a States) -> impl Iterator<Item = u32> + 'a {
        let is_whole = |(number, at): &&(u32, u16)| self.component(*number, *at).is_none() && self.looks_for(*number);
        states.iter().filter(is_whole).map(|(number, _)| *number)
    }

    fn looks_for(&self, number: u32) -> bool {
        usize::try_from(number).ok().and_then(|number| self.names.get(number)) == Some(&true)
    }

    fn component(&self, number: u32, at: u16) -> Option<&Component> {
        self.patterns.get(usize::try_from(number).ok()?)?.get(usize::from(at))
    }

    /// A `**` may take nothing: what stands before it also stands after it.
    fn put(&self, number: u32, at: u16, states: &mut States) {
        states.push((number, at));
        if self.component(number, at) == Some(&Component::Depth) {
            states.push((number, at + 1));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use interlock_core::action::Bytes;

    #[test]
    fn a_name_is_matched_as_the_pattern_itself_matches_it() {
        let texts = ["**/.env", "**/.tool/**", "**/*.git/hooks/*", "/w/keys/**", "/w/a/*.json", "**/.t/**/x", "/other/**", "**/a/**/b/*"];
        let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::compile(&Bytes((*text).into())).unwrap()).collect();
        let mut wanted = Wanted::default();
        let numbers: Vec<u32> = patterns.iter().map(|pattern| wanted.add(pattern)).collect();
        assert_eq!(numbers, (0..8).collect::<Vec<u32>>());
        let paths = ["/w/.env", "/w/d/.env", "/w/.tool", "/w/.tool/x/y", "/w/x.git/hooks/p", "/w/x.git/hooks", "/w/keys/k", "/w/a/b.json"];
        for path in paths.iter().chain(&["/w/.t/x", "/w/.t/q/x", "/w/a/b", "/w/a/b/c", "/w/a/q/b/c", "/w/plain"]) {
            let states = wanted.at(path.as_bytes());
            for (number, pattern) in (0..).zip(&patterns) {
                let whole = states.iter().any(|(known, at)| *known == number && wanted.component(number, *at).is_none());
                assert_eq!(whole, pattern.matches(path.as_bytes()), "{path} {}", pattern.text().lossy());
            }
        }
    }
}
