//! Rules that hold or deny by name, where a folder takes `A` for `a`: there another spelling of the name is the same object, and no pattern
//! matches it (`docs/limits.md`).
//!
//! A folder is tried, whatever its file system is called: the same object under the other spelling, which the folder does not list. Left out:
//! folders deeper than a pattern's literal front, which nobody could search.

use crate::Ground;
use crate::layers::{Rule, rules};
use crate::links::{Front, is_in};
use crate::names::Names;
use crate::short::{Holds, Short};
use serde_json::Value;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;

/// Names looked through in one folder for one that has letters.
const NAMES_MAX: usize = 64;

/// What of the rules on names does not hold here.
pub(crate) fn collect(layers: &mut [Value], names: &mut Names, ground: &Ground) -> Result<Vec<Short>, String> {
    let mut spelling = Spelling { names, folding: HashMap::new(), ground };
    let mut found = Vec::new();
    for rule in rules(layers)? {
        if !rule.allows {
            found.extend(spelling.rule(&rule)?);
        }
    }
    Ok(found)
}

struct Spelling<'a> {
    names: &'a mut Names,
    folding: HashMap<Vec<u8>, bool>,
    ground: &'a Ground,
}

impl Spelling<'_> {
    fn rule(&mut self, rule: &Rule<'_>) -> Result<Option<Short>, String> {
        for pattern in rule.patterns("path")? {
            if let Some(folder) = self.on_the_way(&pattern) {
                let reason = format!("`{}` takes `A` for `a`", String::from_utf8_lossy(&folder));
                let around = "another spelling of the name is not matched";
                let instead = "keep what a name alone protects on a file system that tells spellings apart";
                return Ok(Some(Short::of(rule, Holds::Partially { reason, around, instead })));
            }
        }
        Ok(None)
    }

    /// The first folder in which a name of the pattern could be spelled otherwise.
    fn on_the_way(&mut self, pattern: &[u8]) -> Option<Vec<u8>> {
        let front = Front::of(pattern);
        if [b"/proc".as_slice(), b"/sys", b"/dev"].iter().any(|root| is_in(&front.path, root)) {
            return None;
        }
        if front.path.is_empty() {
            let worked_in = &self.ground.worked_in;
            return worked_in.iter().map(|folder| folder.as_bytes().to_vec()).find(|folder| self.folds(folder));
        }
        let steps = front.path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let folders: Vec<Vec<u8>> = steps.filter_map(|at| front.path.get(..at.max(1))).map(<[u8]>::to_vec).collect();
        let last = (!matches!(front.rest, b"" | b"/**")).then(|| front.path.to_vec());
        folders.into_iter().chain(last).find(|folder| self.folds(folder))
    }

    /// Whether a folder gives the same object for two spellings of one name. One without a name to try is taken for what it lies in.
    fn folds(&mut self, folder: &[u8]) -> bool {
        if let Some(known) = self.folding.get(folder) {
            return *known;
        }
        let found = self.is_simulated(folder) || self.tried(folder);
        self.folding.insert(folder.to_vec(), found);
        found
    }

    /// For tests: the workspace, as if it lay on another file system.
    fn is_simulated(&self, folder: &[u8]) -> bool {
        self.ground.simulates("exact-names") && self.ground.worked_in.first().is_some_and(|workspace| is_in(folder, workspace.as_bytes()))
    }

    fn tried(&mut self, folder: &[u8]) -> bool {
        let Some(own) = self.names.at(folder).status.filter(std::fs::Metadata::is_dir) else { return false };
        let named = self.names.entries(folder).take(NAMES_MAX).map(|(name, _)| name).find(|name| *name != other(name));
        if let Some(name) = named {
            return self.is_one(folder, &name);
        }
        let above = folder.iter().rposition(|byte| *byte == b'/').and_then(|at| folder.get(..at.max(1))).filter(|above| *above != folder);
        let Some(above) = above.map(<[u8]>::to_vec) else { return false };
        self.names.at(&above).status.is_some_and(|status| status.dev() == own.dev()) && self.folds(&above)
    }

    fn is_one(&self, folder: &[u8], name: &[u8]) -> bool {
        let spelled = other(name);
        let at = |name: &[u8]| self.names.status(&[folder, b"/", name].concat()).map(|status| (status.dev(), status.ino()));
        let same = at(name).is_some_and(|object| at(&spelled) == Some(object));
        same && !self.names.entries(folder).any(|(listed, _)| listed == spelled)
    }
}

/// The name with its ASCII letters in the other case.
fn other(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }).collect()
}
