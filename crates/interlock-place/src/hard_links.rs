//! Other names of a denied file: found by its number of links, matched by inode.
//!
//! Left out: whatever a pattern says behind its first `**/`, since the whole machine would have to be searched; and what `Ground` says is not
//! to be searched.

use crate::Ground;
use crate::layers::{Rule, compiled, rules};
use crate::links::{Front, escaped, is_in, way};
use crate::names::Names;
use crate::short::{Holds, Short};
use interlock_core::excepted::Excepted;
use interlock_core::pattern::Component;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::rc::Rc;

/// Directory entries looked at for one rule; those that say `best_effort` share them.
const ENTRIES_MAX: usize = 4_096;
/// Names read on the way to those, which no pattern leads to: a crowded `/tmp` says little about what a rule denies in it.
const NAMES_MAX: usize = 65_536;
/// Hard-linked files that one rule names by inode.
const INODES_MAX: usize = 1_024;

const AROUND: &str = "another hard link of such a file, made before the session, is not matched";
const INSTEAD: &str = "name fewer files, or folders with fewer files in them";

/// Adds `inodes` to each rule that denies or holds named files. Gives the rules for which not every file was looked at.
pub(crate) fn collect(layers: &mut [Value], names: &mut Names, ground: &Ground) -> Result<Vec<Short>, String> {
    let own = ground.own.iter().map(|path| [escaped(path.as_bytes()).as_slice(), b"/**"].concat()).collect();
    let each = if ground.simulates("hard-links") { Left { entries: 0, names: 0 } } else { Left { entries: ENTRIES_MAX, names: NAMES_MAX } };
    let unsearched = &ground.unsearched;
    let mut search = Search { names, own, unsearched, left: each, short: None, read: HashMap::new(), linked: HashMap::new() };
    let mut shared = each;
    let mut found = Vec::new();
    for mut rule in rules(layers)? {
        let is_of_sockets = rule.verbs.first().is_some_and(|verb| verb.starts_with("unix."));
        if !rule.allows && !is_of_sockets && rule.selectors.contains_key("path") {
            search.left = if rule.best_effort { shared } else { each };
            search.rule(&mut rule)?;
            shared = if rule.best_effort { search.left } else { shared };
            found.extend(search.short.take().map(|reason| Short::of(&rule, Holds::Partially { reason, around: AROUND, instead: INSTEAD })));
        }
    }
    Ok(found)
}

/// What may still be looked at.
#[derive(Clone, Copy)]
struct Left {
    entries: usize,
    names: usize,
}

impl Left {
    /// Takes one name off; nothing when too many were read.
    fn take(&mut self, is_led_to: bool) -> Option<()> {
        self.names = self.names.checked_sub(1)?;
        self.entries = if is_led_to { self.entries.checked_sub(1)? } else { self.entries };
        Some(())
    }
}

struct Search<'a> {
    names: &'a mut Names,
    /// Patterns of what Interlock is loaded from.
    own: Vec<Vec<u8>>,
    unsearched: &'a [String],
    left: Left,
    /// Why not every file of the rule at hand was looked at.
    short: Option<String>,
    /// What was found already, since many rules keep the same folders: the names in a folder with whether each is one, and of a file what tells
    /// that it has other names.
    read: HashMap<Vec<u8>, Entries>,
    linked: HashMap<Vec<u8>, Option<Metadata>>,
}

type Linked = (Vec<u8>, Metadata);
/// The names in a folder, with whether each is one itself.
type Entries = Rc<[(Vec<u8>, bool)]>;

impl Search<'_> {
    fn rule(&mut self, rule: &mut Rule<'_>) -> Result<(), String> {
        let mut found = BTreeSet::new();
        let mut except: Option<Excepted> = None;
        for pattern in rule.patterns("path")? {
            for (path, status) in self.linked(&pattern)? {
                let except = match &mut except {
                    Some(except) => except,
                    none => none.insert(rule.excepted()?),
                };
                if !except.matched(&compiled(&pattern)?, &path) {
                    found.insert((status.dev(), status.ino()));
                }
            }
        }
        if found.len() > INODES_MAX {
            self.short = Some(format!("more than {INODES_MAX} of its files have other hard links"));
        }
        if !found.is_empty() {
            rule.list(found.into_iter().take(INODES_MAX));
        }
        Ok(())
    }

    /// The files of this pattern that have other names.
    fn linked(&mut self, pattern: &[u8]) -> Result<Vec<Linked>, String> {
        let front = Front::of(pattern);
        let is_made_up = [b"/proc".as_slice(), b"/sys", b"/dev"].iter().any(|root| is_in(&front.path, root));
        // What begins with a pattern among everybody's temporary files is about names that others look for, not about what they hold.
        let is_everybodys = !front.rest.is_empty() && self.unsearched.iter().any(|folder| folder.as_bytes() == &*front.path);
        if front.path.is_empty() || is_made_up || is_everybodys {
            return Ok(Vec::new());
        }
        let known = self.names.at(&front.path);
        let Some(status) = known.status else { return Ok(Vec::new()) };
        // Where links lead, the rule says as well (`follow`).
        if known.passes_a_link && way(&front.path, self.names).is_some() {
            return Ok(Vec::new());
        }
        let is_searched = status.is_dir() && !front.rest.is_empty() && self.is_searched(pattern, &front.path);
        if !is_searched && !has_other_names(&status) {
            return Ok(Vec::new());
        }
        let wanted = compiled(pattern)?;
        let mut found = vec![(front.path.to_vec(), status)];
        if is_searched {
            self.below(&front.path, wanted.rest(), &mut found);
        }
        found.retain(|(path, status)| has_other_names(status) && wanted.matches(path));
        Ok(found)
    }

    fn is_searched(&self, pattern: &[u8], base: &[u8]) -> bool {
        !self.own.iter().any(|own| own == pattern) || self.is_installed_by_links(base)
    }

    /// Files with other names below `base`, wherever these components could lead.
    fn below(&mut self, base: &[u8], rest: &[Component], found: &mut Vec<Linked>) {
        let open_from = rest.iter().position(|component| *component == Component::Depth).unwrap_or(rest.len());
        let mut waiting = vec![(base.to_vec(), 0)];
        while let Some((directory, depth)) = waiting.pop() {
            for (name, is_directory) in &*self.entries(&directory) {
                let is_led_to = depth >= open_from || rest.get(depth).is_some_and(|component| admits(component, name));
                if self.left.take(is_led_to).is_none() {
                    self.short = Some(format!("more than {ENTRIES_MAX} files lie below the names of such rules"));
                    return;
                }
                if !is_led_to {
                    continue;
                }
                let path = [directory.as_slice(), b"/", name].concat();
                if *is_directory {
                    let leads_on = open_from < rest.len() || depth + 1 < rest.len();
                    if leads_on && !self.unsearched.iter().any(|folder| folder.as_bytes() == path) {
                        waiting.push((path, depth + 1));
                    }
                } else if let Some(status) = self.status(&path) {
                    found.push((path, status));
                }
            }
        }
    }

    /// The names in a folder, of which no more are kept than may be looked at.
    fn entries(&mut self, folder: &[u8]) -> Entries {
        if let Some(known) = self.read.get(folder) {
            return Rc::clone(known);
        }
        let found: Entries = self.names.entries(folder).take(NAMES_MAX + 1).collect();
        self.read.insert(folder.to_vec(), Rc::clone(&found));
        found
    }

    /// What a file is that has other names; nothing for others.
    fn status(&mut self, path: &[u8]) -> Option<Metadata> {
        if let Some(known) = self.linked.get(path) {
            return known.clone();
        }
        let found = self.names.status(path).filter(has_other_names);
        self.linked.insert(path.to_vec(), found.clone());
        found
    }

    /// Whether a package installer shared its cache with this folder by hard links (uv does): the first file shows it.
    fn is_installed_by_links(&self, base: &[u8]) -> bool {
        let first = self.names.entries(base).find(|(_, is_directory)| !is_directory);
        first.and_then(|(name, _)| self.names.status(&[base, b"/", &name].concat())).is_some_and(|status| status.nlink() > 1)
    }
}

fn has_other_names(status: &Metadata) -> bool {
    status.is_file() && status.nlink() > 1
}

fn admits(component: &Component, name: &[u8]) -> bool {
    match component {
        Component::Depth => true,
        Component::Name(glob) => glob.matches(name),
    }
}
