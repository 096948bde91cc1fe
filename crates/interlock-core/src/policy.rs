//! A compiled policy, read from JSON into rules that cannot be wrong. What the engine does not know it refuses; it ignores nothing.
//!
//! The YAML language, its sets and variables and its kinder messages belong to the loader; what fails here was compiled wrongly or by
//! someone else.

pub use crate::wire::{LayerOrigin, Source, When};

use crate::compile;
use crate::decision::{Obligations, Outcome};
use crate::digest;
use crate::json;
use crate::resources::Resources;
use crate::selector::Selectors;
use crate::steer::Steer;
use crate::verb::Verb;
use crate::wire;
use serde::Deserialize as _;
use serde_json::Value;
use std::sync::Arc;

/// Most layers in a policy.
pub const LAYERS_MAX: usize = 64;
/// Most rules in all layers together.
pub const RULES_MAX: usize = 20_000;
/// Most patterns in all rules together.
pub const PATTERNS_MAX: usize = 200_000;
/// How long an approval waits when its rule does not say, in milliseconds.
pub const TIMEOUT_MS_DEFAULT: u64 = 120_000;

/// Where the compiled policy has objects.
const OBJECTS: &[&str] = &[
    "",
    "layers/*",
    "layers/*/environment",
    "layers/*/limits",
    "layers/*/rules/*",
    "layers/*/rules/*/match",
    "layers/*/rules/*/match/inodes/*",
    "layers/*/rules/*/match/command",
    "layers/*/rules/*/match/arguments/*",
    "layers/*/rules/*/when",
    "layers/*/rules/*/obligations",
    "layers/*/rules/*/steer/address",
    "layers/*/rules/*/source",
];

/// Why a compiled policy was refused, with the rule at fault where one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// `layer/id` of the rule, or the layer, or nothing.
    pub place: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl PolicyError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into() }
    }

    pub(crate) fn at(place: &str, message: impl Into<String>) -> Self {
        Self { place: Some(place.to_owned()), message: message.into() }
    }
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "`{place}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for PolicyError {}

/// Layers of rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    layers: Arc<[Layer]>,
    resources: Arc<Resources>,
    digest: Arc<str>,
}

/// The rules of one file.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Layer {
    pub name: String,
    pub origin: LayerOrigin,
    pub closed: bool,
    pub rules: Vec<Rule>,
}

/// One rule, ready to be matched.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Rule {
    /// `layer/id`
    pub name: String,
    pub outcome: Outcome,
    pub verbs: Verbs,
    pub because: Option<String>,
    pub selectors: Selectors,
    pub when: Option<When>,
    pub timeout_ms: u64,
    pub steer: Option<Steer>,
    pub obligations: Obligations,
    pub best_effort: bool,
    pub source: Option<Source>,
}

impl Rule {
    /// Whether it depends on a score. Such a rule can only tighten what another rule lets through.
    pub fn is_scored(&self) -> bool {
        self.when.as_ref().is_some_and(|when| when.risk_at_least.is_some())
    }
}

/// A set of verbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verbs(u32);

impl Verbs {
    /// Whether the verb is in the set.
    pub fn contains(self, verb: Verb) -> bool {
        self.0 >> verb.index() & 1 == 1
    }

    /// The verbs in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.iter().copied().filter(move |verb| self.contains(*verb))
    }
}

impl FromIterator<Verb> for Verbs {
    fn from_iter<I: IntoIterator<Item = Verb>>(verbs: I) -> Self {
        Self(verbs.into_iter().fold(0, |set, verb| set | 1 << verb.index()))
    }
}

impl Policy {
    /// Reads the compiled policy's JSON, strictly.
    ///
    /// A `digest` in it must be the policy's own; it may be left out.
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        Self::from_value(json::parse(text).map_err(PolicyError::new)?)
    }

    /// The same from a value that [`json::parse`] has read.
    pub fn from_value(mut value: Value) -> Result<Self, PolicyError> {
        json::no_lists(&value, OBJECTS).map_err(PolicyError::new)?;
        let mut wire = wire::Policy::deserialize(&value).map_err(|error| PolicyError::new(error.to_string()))?;
        let digest = policy_digest(&mut value);
        if wire.digest.as_ref().is_some_and(|given| *given != digest) {
            return Err(PolicyError::new(format!("the policy's digest is `{digest}`, not the one it names")));
        }
        let mut resources = Resources::default();
        for layer in &mut wire.layers {
            resources.join(layer.environment.take(), layer.limits.take());
        }
        Ok(Self { layers: compile::layers(wire)?.into(), resources: resources.into(), digest: digest.into() })
    }

    /// `sha256:` and the SHA-256, in hex, of the RFC 8785 form of the compiled policy without its own `digest`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it says of a session as a whole.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// The layers, in the order given (which decides nothing).
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

fn policy_digest(value: &mut Value) -> String {
    if let Value::Object(object) = value {
        object.remove("digest");
    }
    format!("sha256:{}", digest::hex(json::canonical(value).as_bytes()))
}
