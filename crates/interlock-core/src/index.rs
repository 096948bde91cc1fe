//! An index from a path to the rules that could touch it, for one verb: a few rules instead of all of them.
//!
//! It may name a rule that does not match, never miss one that does; the rule itself is then asked (`voice::touch`). So it can work by
//! hashes alone: a collision costs time, not truth.

use crate::action::{Inode, Target};
use crate::glob::Glob;
use crate::pattern::{Component, Pattern};
use crate::policy::Rule;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// A rule by its place in the plan.
pub(crate) type Place = u32;

type Places = HashMap<u64, Vec<Place>, BuildHasherDefault<AsIs>>;

/// Rules by what their patterns hold literally.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Rules that name no path.
    always: Vec<Place>,
    /// By the literal path a pattern begins with.
    by_prefix: Places,
    /// By a literal component of a pattern that begins with no literal path.
    by_component: Places,
    /// Patterns with neither.
    loose: Vec<(Pattern, Place)>,
    /// Objects listed, and the rules that list any.
    inodes: HashSet<Inode>,
    by_inode: Vec<Place>,
}

impl Index {
    /// Adds a rule's patterns and objects.
    pub fn add(&mut self, rule: &Rule, place: Place) {
        if !rule.selectors.inodes.is_empty() {
            self.inodes.extend(&rule.selectors.inodes);
            self.by_inode.push(place);
        }
        match &rule.selectors.path {
            None if rule.selectors.inodes.is_empty() => self.always.push(place),
            None => {}
            Some(patterns) => patterns.iter().for_each(|pattern| self.add_pattern(pattern, place)),
        }
    }

    fn add_pattern(&mut self, pattern: &Pattern, place: Place) {
        let literal = pattern.rest().iter().rev().find_map(|component| match component {
            Component::Name(Glob::Literal(name)) => Some(name),
            Component::Name(_) | Component::Depth => None,
        });
        let places = match literal {
            _ if !pattern.prefix().is_empty() || pattern.is_tree() => self.by_prefix.entry(hash(pattern.prefix())).or_default(),
            Some(name) => self.by_component.entry(hash(name)).or_default(),
            None => return self.loose.push((pattern.clone(), place)),
        };
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    /// The rules that could touch an act upon this target, in order, none twice.
    pub fn candidates(&self, target: &Target) -> Vec<Place> {
        let mut found = Vec::with_capacity(16);
        found.extend_from_slice(&self.always);
        match target {
            Target::File(end) => self.end(&end.path.0, &end.aliases, end.inode, &mut found),
            Target::Pair { path, aliases, inode, to, .. } => {
                self.end(&path.0, aliases, *inode, &mut found);
                self.end(&to.path.0, &to.aliases, to.inode, &mut found);
            }
            Target::Exec { path, aliases, inode, .. } => self.end(&path.0, aliases, *inode, &mut found),
            Target::UnixPath { path, aliases, .. } => self.end(&path.0, aliases, None, &mut found),
            // These have no path: rules that name one do not touch them.
            Target::Signal { .. } | Target::Process { .. } | Target::Net { .. } | Target::UnixAbstract { .. } | Target::Tool { .. } => {}
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn end(&self, path: &[u8], aliases: &[crate::bytes::Bytes], inode: Option<Inode>, found: &mut Vec<Place>) {
        self.name(path, found);
        aliases.iter().for_each(|alias| self.name(&alias.0, found));
        if !self.inodes.is_empty() && inode.is_some_and(|inode| self.inodes.contains(&inode)) {
            found.extend_from_slice(&self.by_inode);
        }
    }

    fn name(&self, path: &[u8], found: &mut Vec<Place>) {
        let (mut whole, mut component) = (SEED, SEED);
        let look = |places: &Places, key: u64, found: &mut Vec<Place>| {
            if let Some(places) = places.get(&key) {
                found.extend_from_slice(places);
            }
        };
        for byte in path {
            if *byte == b'/' {
                look(&self.by_prefix, whole, found);
                look(&self.by_component, component, found);
                component = SEED;
            } else {
                component = step(component, *byte);
            }
            whole = step(whole, *byte);
        }
        look(&self.by_prefix, whole, found);
        look(&self.by_component, component, found);
        let loose = self.loose.iter().filter(|(pattern, _)| pattern.matches(path));
        found.extend(loose.map(|(_, place)| *place));
    }
}

/// FNV-1a, which can be taken of every prefix in one pass.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(SEED, |hash, byte| step(hash, *byte))
}

/// The keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| step(hash, *byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
