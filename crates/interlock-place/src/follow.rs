//! Adds to each list of patterns the forms that links lead to; the pattern as written stays beside them, for acts on the link's own name.
//!
//! An `allow` does not follow a link that the policy lets a session make: in one session the agent would plant `out -> ~/.ssh`, in the next
//! an innocent `allow: file.*` on `out/**` would mean the keys. Such a link is named in a warning.
//! What denies or asks keeps such a link as well, so that it goes on leading where it leads.

use crate::layers::{Rule, SELECTORS, all_compiled, rules};
use crate::links::{Front, Resolved, Step, Way, behind, escaped, resolve};
use crate::names::Names;
use interlock_core::patterns::Patterns;
use serde_json::Value;

/// What makes a name that can be a link.
const MAKES_LINKS: [&str; 3] = ["file.create", "file.rename", "file.link"];

/// Follows links in place. Gives the warnings, none twice.
pub(crate) fn follow(layers: &mut [Value], makeable: &Patterns, names: &mut Names) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for rule in &mut rules(layers)? {
        for selector in SELECTORS {
            let widens = rule.allows == (selector == "path");
            let added =
                if widens { widened(rule, selector, makeable, names, &mut warnings)? } else { held(rule, selector, makeable, names)? };
            rule.insert(selector, added);
        }
    }
    Ok(warnings)
}

/// Where a session may make names: every `allow` of creating, renaming or linking, whatever denies it.
pub(crate) fn makeable(layers: &mut [Value]) -> Result<Patterns, String> {
    let makes = |rule: &&Rule<'_>| !rule.denies && rule.verbs.iter().any(|verb| MAKES_LINKS.contains(verb));
    let mut found = Vec::new();
    for rule in rules(layers)?.iter().filter(makes) {
        match rule.selectors.get("path") {
            Some(_) => found.extend(rule.patterns("path")?.into_iter().map(std::borrow::Cow::into_owned)),
            None => found.push(b"/**".to_vec()),
        }
    }
    all_compiled(&found)
}

/// What links make of a selector that allows, with the place of each: none where a session may have made the link.
fn widened(
    rule: &Rule<'_>,
    selector: &str,
    makeable: &Patterns,
    names: &mut Names,
    warnings: &mut Vec<String>,
) -> Result<Vec<(usize, Vec<u8>)>, String> {
    let mut added = Vec::new();
    for (place, pattern) in rule.patterns(selector)?.into_iter().enumerate() {
        let Some(resolved) = resolve(&pattern, names) else { continue };
        let Some(made) = resolved.way.links.iter().find(|step| makeable.matches(&step.path)) else {
            added.push((place, resolved.pattern));
            continue;
        };
        let warning = not_followed(&rule.name, &pattern, made, &resolved);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    Ok(added)
}

/// What links make of a selector that keeps something, with the place of each: where they lead, and each step that a session could change.
fn held(rule: &Rule<'_>, selector: &str, makeable: &Patterns, names: &mut Names) -> Result<Vec<(usize, Vec<u8>)>, String> {
    let mut added = Vec::new();
    for (place, pattern) in rule.patterns(selector)?.into_iter().enumerate() {
        let Some(resolved) = resolve(&pattern, names) else { continue };
        if rule.changes() && selector == "path" {
            let rest = Front::of(&pattern).rest;
            added.extend(steps(&resolved.way, makeable, |_| vec![rest.to_vec()]).into_iter().map(|step| (place, step)));
        }
        added.push((place, resolved.pattern));
    }
    Ok(added)
}

/// Patterns that hold each step of a way which a session could make lead elsewhere: the step's own name, and what it stands for. `rests` gives
/// what is behind a path.
pub(crate) fn steps(way: &Way, makeable: &Patterns, rests: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = way.turns.iter().filter(|turn| makeable.matches(turn)).map(|turn| escaped(turn)).collect();
    for step in way.links.iter().filter(|step| makeable.matches(&step.path)) {
        found.push(escaped(&step.path));
        if let Some(through) = &step.through {
            found.extend(rests(through).iter().map(|rest| behind(through, rest)));
        }
    }
    found
}

fn not_followed(rule: &str, pattern: &[u8], made: &Step, resolved: &Resolved) -> String {
    let text = String::from_utf8_lossy;
    format!(
        "`{rule}`: `{}` leads through the link `{}` -> `{}`, which a session may make itself; the rule does not follow it (name `{}` if you \
         mean it)",
        text(pattern),
        text(&made.path),
        text(&made.target),
        text(&resolved.pattern)
    )
}
