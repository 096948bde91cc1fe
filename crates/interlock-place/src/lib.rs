//! A compiled policy brought to this machine: links in its patterns followed, hard links of what is denied found by inode (`spec/policy.md`).
//!
//! Done at every load and never kept: names change between two sessions, and an agent may have changed them. Nothing is decided here, and
//! nothing is read but names, links and what lstat(2) says.
#![forbid(unsafe_code)]

mod ahead;
mod follow;
mod hard_links;
mod kept;
mod layers;
mod links;
mod names;
mod short;
mod spelling;
mod through;
mod tree;
mod wanted;

pub use ahead::Begun;

use interlock_core::{digest, json};
use names::Names;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What placing needs to know besides the layers.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    /// Where the machine's names are looked up: empty for the machine itself.
    pub root: PathBuf,
    /// Paths in patterns and what to put in their stead: the session's own folders differ at every start.
    pub stand_ins: Vec<(String, String)>,
    /// What Interlock is loaded from: not searched for hard links, unless an installer shared its files by them.
    pub own: Vec<String>,
    /// Folders not searched for hard links.
    pub unsearched: Vec<String>,
    /// Where a pattern that begins with `**/` is mostly meant: the workspace first, then the home.
    pub worked_in: Vec<String>,
    /// Where walks of the workspace are kept; empty for not at all.
    pub kept: PathBuf,
    /// What to take for missing, for tests: `exact-names`, `hard-links`, `workspace-walk`. It can only show less to be enforced.
    pub missing: Vec<String>,
}

impl Ground {
    fn simulates(&self, what: &str) -> bool {
        self.missing.iter().any(|missing| missing == what)
    }
}

/// A policy in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The compiled form, RFC 8785.
    pub policy: String,
    /// Its `sha256:…`.
    pub digest: String,
    /// The layers' names, in order.
    pub names: Vec<String>,
    /// The layers that were to stay out of it, as a JSON list.
    pub aside: String,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// The rules that this machine does not enforce whole, as a JSON list of `{"rule", "enforcement", "best_effort", "source", "instead"}`.
    pub short: String,
}

/// Places the layers of a JSON list. The first `count` are the policy; what follows is placed as they are, but decides nothing: it brings
/// neither inodes nor warnings.
///
/// # Errors
/// The text is no list of compiled layers.
pub fn place(layers: &str, count: usize, ground: &Ground) -> Result<Placed, String> {
    place_walked(layers, count, ground, None)
}

/// The same where the walk of the workspace was begun before.
///
/// # Errors
/// As `place`.
pub fn place_walked(layers: &str, count: usize, ground: &Ground, begun: Option<Begun>) -> Result<Placed, String> {
    let Value::Array(mut layers) = json::parse(layers)? else { return Err("the layers are not a list".into()) };
    for (before, after) in &ground.stand_ins {
        let escaped = |path: &str| String::from_utf8_lossy(&links::escaped(path.as_bytes())).into_owned();
        layers::rename(&mut layers, &escaped(before), &escaped(after))?;
    }
    let mut aside = layers.split_off(count.min(layers.len()));
    let mut names = Names::below(ground.root.clone());
    let makeable = follow::makeable(&mut layers)?;
    let warnings = follow::follow(&mut layers, &makeable, &mut names)?;
    // First what links lead to: it may have hard links in its turn.
    let mut found = through::collect(&mut layers, &makeable, &mut names, ground, begun)?;
    found.extend(hard_links::collect(&mut layers, &mut names, ground)?);
    found.extend(spelling::collect(&mut layers, &mut names, ground)?);
    found.extend(layers::rules(&mut layers)?.iter().filter_map(short::tracing));
    follow::follow(&mut aside, &makeable, &mut names)?;
    let short = Value::Array(found.iter().map(short::Short::json).collect()).to_string();
    Ok(finished(layers, aside, warnings, short))
}

fn finished(mut layers: Vec<Value>, aside: Vec<Value>, warnings: Vec<String>, short: String) -> Placed {
    for layer in &mut layers {
        let own = digest_of(layer);
        if let Some(layer) = layer.as_object_mut() {
            layer.insert("digest".into(), own.into());
        }
    }
    let names = layers.iter().filter_map(|layer| layer.get("name")?.as_str().map(str::to_owned)).collect();
    let mut policy = json!({"interlock": 1, "layers": layers});
    let digest = digest_of(&policy);
    if let Some(policy) = policy.as_object_mut() {
        policy.insert("digest".into(), digest.clone().into());
    }
    Placed { policy: json::canonical(&policy), digest, names, aside: json::canonical(&Value::Array(aside)), warnings, short }
}

fn digest_of(value: &Value) -> String {
    format!("sha256:{}", digest::hex(json::canonical(value).as_bytes()))
}
