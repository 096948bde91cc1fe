//! Names that rules keep, however deep in the workspace, brought to the objects they mean: where a link at such a name leads, each step on its way,
//! and files that have another name besides.
//!
//! A pattern that begins with `**/` names no place, so the machine is not asked about it as about a literal one (`follow`, `hard_links`): the
//! workspace is walked once for all of them (`tree`).
//! Left out: allows, which follow no link that a session could have made, and what is public on every machine.

use crate::Ground;
use crate::ahead::{self, Begun};
use crate::follow::steps;
use crate::kept::Kept;
use crate::layers::{Rule, compiled, rules};
use crate::links::{Way, behind, is_in, way};
use crate::names::Names;
use crate::short::{Holds, Short};
use crate::tree::{Found, Walk, marks};
use crate::wanted::Wanted;
use interlock_core::action::Bytes;
use interlock_core::beneath;
use interlock_core::digest;
use interlock_core::pattern::Pattern;
use interlock_core::patterns::Patterns;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Links that lead from or to a name that rules keep, and objects that one rule names by inode.
const LINKS_MAX: usize = 4_096;
const INODES_MAX: usize = 1_024;

/// What is the same for everybody on a machine: a link to it gives nothing away, and no session changes it.
const PUBLIC: [&[u8]; 13] =
    [b"/proc", b"/sys", b"/dev", b"/etc", b"/usr", b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64", b"/opt", b"/nix", b"/gnu"];

const AROUND: &str = "a link, or another hard link of a file, that was made before the session is not matched";
const INSTEAD: &str = "name a smaller folder with `--workspace`, or name the places of the files in full";

/// Adds to each rule that keeps names what these mean in the workspace. Gives the rules for which not everything was seen.
pub(crate) fn collect(
    layers: &mut [Value],
    makeable: &Patterns,
    names: &mut Names,
    ground: &Ground,
    begun: Option<Begun>,
) -> Result<Vec<Short>, String> {
    let Some(workspace) = ground.worked_in.first().map(|folder| folder.as_bytes().to_vec()) else { return Ok(Vec::new()) };
    let asked = Asked::of(layers, &workspace)?;
    if asked.patterns.is_empty() {
        return Ok(Vec::new());
    }
    let found = asked.walk(&workspace, ground, begun);
    let mut through = Through { asked: &asked, workspace, makeable, names, shorts: BTreeMap::new() };
    let mut all = rules(layers)?;
    if let Some(reason) = &found.short {
        asked.rules.values().flatten().for_each(|rule| through.short(*rule, reason.clone()));
    }
    through.links(&found, &mut all)?;
    through.files(&found, &mut all)?;
    let shorts = through.shorts.into_iter();
    Ok(shorts
        .filter_map(|(rule, reason)| Some(Short::of(all.get(rule)?, Holds::Partially { reason, around: AROUND, instead: INSTEAD })))
        .collect())
}

/// What is asked about the workspace.
struct Asked {
    wanted: Wanted,
    patterns: Vec<Pattern>,
    /// The rules of each pattern, by their numbers.
    rules: BTreeMap<u32, Vec<usize>>,
}

impl Asked {
    fn of(layers: &mut [Value], workspace: &[u8]) -> Result<Self, String> {
        let mut asked = Self { wanted: Wanted::default(), patterns: Vec::new(), rules: BTreeMap::new() };
        let mut known: HashMap<Vec<u8>, u32> = HashMap::new();
        for (number, rule) in rules(layers)?.iter().enumerate().filter(|(_, rule)| keeps_names(rule)) {
            for text in rule.patterns("path")? {
                if !concerns(&text, workspace) {
                    continue;
                }
                let id = match known.get(&*text) {
                    Some(id) => *id,
                    None => {
                        let pattern = compiled(&text)?;
                        let id = asked.wanted.add(&pattern);
                        asked.patterns.push(pattern);
                        known.insert(text.to_vec(), id);
                        id
                    }
                };
                asked.rules.entry(id).or_default().push(number);
            }
        }
        Ok(asked)
    }

    fn pattern(&self, id: u32) -> Option<&Pattern> {
        self.patterns.get(usize::try_from(id).ok()?)
    }

    fn walk(&self, workspace: &[u8], ground: &Ground, begun: Option<Begun>) -> Found {
        let root = if ground.root.as_os_str().is_empty() { Path::new("/") } else { &ground.root };
        let walk = match Walk::of(&self.wanted, root, workspace) {
            Ok(walk) => walk,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::default(),
            Err(_) => return Found { short: Some("the workspace cannot be read".into()), ..Found::default() },
        };
        let walk = if ground.simulates("workspace-walk") { walk.at_most(0) } else { walk };
        let Some(file) = self.kept(workspace, ground) else { return walk.found(&Kept::default(), &[]) };
        let (before, now) = begun.and_then(|begun| begun.taken(&file)).unwrap_or_else(|| {
            let before = Kept::read(&file);
            let now = marks(walk.top(), &before);
            (before, now)
        });
        let found = walk.found(&before, &now);
        if let Some(kept) = &found.kept {
            kept.write(&file);
        }
        found
    }

    /// Where a walk for just these patterns is kept.
    fn kept(&self, workspace: &[u8], ground: &Ground) -> Option<PathBuf> {
        if ground.kept.as_os_str().is_empty() {
            return None;
        }
        let texts = self.patterns.iter().flat_map(|pattern| [pattern.text().0.as_slice(), b"\n"]);
        let asked = digest::hex(&texts.collect::<Vec<_>>().concat());
        Some(ground.kept.join(format!("{}{asked}", ahead::prefix(workspace))))
    }
}

fn keeps_names(rule: &Rule<'_>) -> bool {
    !rule.allows && rule.selectors.contains_key("path") && !rule.verbs.first().is_some_and(|verb| verb.starts_with("unix."))
}

/// Whether a pattern could mean a name in the workspace.
fn concerns(text: &[u8], workspace: &[u8]) -> bool {
    match text.strip_prefix(b"/") {
        None => text.len() > 3,
        Some(_) => {
            let literal = text.iter().position(|byte| b"*?[\\".contains(byte)).unwrap_or(text.len());
            let front = text.get(..literal).unwrap_or(text);
            let front = front.get(..front.iter().rposition(|byte| *byte == b'/').unwrap_or(0)).unwrap_or(front);
            is_in(front, workspace) || is_in(workspace, front) && literal < text.len()
        }
    }
}

struct Through<'a> {
    asked: &'a Asked,
    workspace: Vec<u8>,
    makeable: &'a Patterns,
    names: &'a mut Names,
    /// Why not everything of a rule was seen, by its number.
    shorts: BTreeMap<usize, String>,
}

impl Through<'_> {
    fn short(&mut self, rule: usize, reason: String) {
        self.shorts.entry(rule).or_insert(reason);
    }

    fn links(&mut self, found: &Found, all: &mut [Rule<'_>]) -> Result<(), String> {
        let asked = self.asked;
        if found.links.len() > LINKS_MAX {
            let reason = format!("more than {LINKS_MAX} links lead to such names");
            asked.rules.values().flatten().for_each(|rule| self.short(*rule, reason.clone()));
        }
        for link in found.links.iter().take(LINKS_MAX) {
            let Some(way) = way(link, self.names) else { continue };
            for (id, pattern) in (0..).zip(&asked.patterns) {
                let left = |target: &[u8]| beneath::left(pattern, link, target);
                if left(b"/").is_empty() {
                    continue;
                }
                for number in asked.rules.get(&id).into_iter().flatten() {
                    if let Some(rule) = all.get_mut(*number) {
                        if !rule.excepted()?.on_the_way(pattern, link) {
                            self.link(*number, rule, link, &way, &left);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What one link means for one pattern of one rule.
    fn link(&mut self, number: usize, rule: &mut Rule<'_>, link: &[u8], way: &Way, left: &dyn Fn(&[u8]) -> Vec<Vec<u8>>) {
        let mut added = Vec::new();
        if self.is_kept(&way.end) {
            for rest in left(&way.end) {
                if is_in(&self.workspace, &way.end) && rest.contains(&b'*') {
                    let name = String::from_utf8_lossy(link).into_owned();
                    self.short(number, format!("the link `{name}` leads to a folder that holds the workspace"));
                } else {
                    added.push(behind(&way.end, &rest));
                }
            }
        }
        if rule.changes() {
            added.extend(steps(way, self.makeable, left).into_iter().filter(|step| compiled_other(step, link)));
        }
        rule.append(added);
    }

    /// Whether what a link leads to is for a rule to keep.
    fn is_kept(&self, path: &[u8]) -> bool {
        is_in(path, &self.workspace) || !PUBLIC.iter().any(|public| is_in(path, public))
    }

    fn files(&mut self, found: &Found, all: &mut [Rule<'_>]) -> Result<(), String> {
        let mut inodes: BTreeMap<usize, BTreeSet<(u64, u64)>> = BTreeMap::new();
        for (path, status, patterns) in &found.files {
            let patterns = patterns.iter().filter_map(|id| Some((self.asked.pattern(*id)?, self.asked.rules.get(id)?)));
            for (pattern, number) in patterns.flat_map(|(pattern, numbers)| numbers.iter().map(move |number| (pattern, number))) {
                let Some(rule) = all.get(*number) else { continue };
                if !rule.excepted()?.matched(pattern, path) {
                    inodes.entry(*number).or_default().insert(identity(status));
                }
            }
        }
        for (number, found) in inodes {
            if found.len() > INODES_MAX {
                self.short(number, format!("more than {INODES_MAX} of its files have other hard links"));
            }
            if let Some(rule) = all.get_mut(number) {
                rule.list(found.into_iter().take(INODES_MAX));
            }
        }
        Ok(())
    }
}

fn identity(status: &Metadata) -> (u64, u64) {
    (status.dev(), status.ino())
}

/// The link itself is what its name says already.
fn compiled_other(step: &[u8], link: &[u8]) -> bool {
    Pattern::compile(&Bytes(step.to_vec())).is_ok_and(|pattern| !pattern.matches(link))
}
