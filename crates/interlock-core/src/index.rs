//! An index from a path to the rules that could touch it, for one verb: a few rules instead of all of them.
//!
//! It may name a rule that does not match, never miss one that does; the rule itself is then asked (`voice::touch`).

use crate::action::{Inode, Target};
use crate::pattern::Pattern;
use crate::policy::Rule;
use crate::table::Table;
use std::collections::HashSet;

/// A rule by its place in the plan.
pub(crate) type Place = u32;

/// Rules by the paths they name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Rules that name no path.
    always: Vec<Place>,
    /// Rules by what their patterns hold literally.
    table: Table,
    /// Patterns that hold nothing literal.
    loose: Vec<(Pattern, Place)>,
    /// Objects listed, and the rules that list any.
    inodes: HashSet<Inode>,
    by_inode: Vec<Place>,
}

impl Index {
    /// An index of these rules.
    pub fn of(rules: &[(Place, &Rule)]) -> Self {
        let mut index = Self::default();
        rules.iter().for_each(|(place, rule)| index.add(rule, *place));
        index
    }

    /// Adds a rule's patterns and objects.
    fn add(&mut self, rule: &Rule, place: Place) {
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
        if !self.table.add(pattern, place) {
            self.loose.push((pattern.clone(), place));
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
            Target::Signal { .. }
            | Target::Process { .. }
            | Target::Net { .. }
            | Target::UnixAbstract { .. }
            | Target::Key { .. }
            | Target::Tool { .. } => {}
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
        self.table.any(path, |place| {
            found.push(place);
            false
        });
        let loose = self.loose.iter().filter(|(pattern, _)| pattern.matches(path));
        found.extend(loose.map(|(_, place)| *place));
    }
}
