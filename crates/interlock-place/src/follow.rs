//! Adds to each list of patterns the forms that links lead to; the pattern as written stays beside them, for acts on the link's own name.
//!
//! An `allow` does not follow a link that the policy lets a session make: in one session the agent would plant `out -> ~/.ssh`, in the next
//! an innocent `allow: file.*` on `out/**` would mean the keys. Such a link is named in a warning.

use crate::layers::{Rule, SELECTORS, all_compiled, rules};
use crate::links::{Resolved, resolve};
use crate::names::Names;
use interlock_core::patterns::Patterns;
use serde_json::Value;

/// What makes a name that can be a link.
const MAKES_LINKS: [&str; 3] = ["file.create", "file.rename", "file.link"];

/// Follows links in place. Gives the warnings, none twice.
pub(crate) fn follow(layers: &mut [Value], names: &mut Names) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    let mut all = rules(layers)?;
    let makeable = makeable(&all)?;
    for rule in &mut all {
        for selector in SELECTORS {
            let widens = rule.allows == (selector == "path");
            let added = followed(rule, selector, widens.then_some(&makeable), names, &mut warnings)?;
            rule.insert(selector, added);
        }
    }
    Ok(warnings)
}

/// Where a session may make names: every `allow` of creating, renaming or linking, whatever denies it.
fn makeable(rules: &[Rule<'_>]) -> Result<Patterns, String> {
    let makes = |rule: &&Rule<'_>| !rule.denies && rule.verbs.iter().any(|verb| MAKES_LINKS.contains(verb));
    let mut found = Vec::new();
    for rule in rules.iter().filter(makes) {
        match rule.selectors.get("path") {
            Some(_) => found.extend(rule.patterns("path")?),
            None => found.push(b"/**".as_slice().into()),
        }
    }
    all_compiled(&found)
}

/// What links make of a selector's patterns, with the place of each. `makeable` where following would widen what is allowed.
fn followed(
    rule: &Rule<'_>,
    selector: &str,
    makeable: Option<&Patterns>,
    names: &mut Names,
    warnings: &mut Vec<String>,
) -> Result<Vec<(usize, Vec<u8>)>, String> {
    let mut added = Vec::new();
    for (place, pattern) in rule.patterns(selector)?.into_iter().enumerate() {
        let Some(resolved) = resolve(&pattern, names) else { continue };
        let made = makeable.and_then(|makeable| resolved.links.iter().find(|(path, _)| makeable.matches(path)));
        let Some(made) = made else {
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

fn not_followed(rule: &str, pattern: &[u8], (path, target): &(Vec<u8>, Vec<u8>), resolved: &Resolved) -> String {
    let text = String::from_utf8_lossy;
    format!(
        "`{rule}`: `{}` leads through the link `{}` -> `{}`, which a session may make itself; the rule does not follow it (name `{}` if you \
         mean it)",
        text(pattern),
        text(path),
        text(target),
        text(&resolved.pattern)
    )
}
