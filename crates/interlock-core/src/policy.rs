//! A compiled policy, read from JSON into rules that cannot be wrong. What the engine does not know it refuses; it ignores nothing.
//!
//! The YAML language, its sets and variables and its kinder messages belong to the loader; what fails here was compiled wrongly or by
//! someone else.

pub use crate::rules::*;

use crate::compile;
use crate::decision::Says;
use crate::digest;
use crate::json;
use crate::resources::Resources;
use crate::verb::Verb;
use crate::wire;
use serde::Deserialize as _;
use serde_json::Value;
use std::sync::Arc;

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
    "layers/*/rules/*/match/keys",
    "layers/*/rules/*/match/arguments/*",
    "layers/*/rules/*/when",
    "layers/*/rules/*/obligations",
    "layers/*/rules/*/steer/address",
    "layers/*/rules/*/steer/replace_flag",
    "layers/*/rules/*/steer/add_flag",
    "layers/*/rules/*/steer/arguments/*",
    "layers/*/rules/*/source",
];

/// Layers of rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    layers: Arc<[Layer]>,
    resources: Arc<Resources>,
    digest: Arc<str>,
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

    /// Whether any rule has something else done in the place of acts with this verb.
    pub fn steers(&self, verb: Verb) -> bool {
        self.layers().iter().flat_map(|layer| &layer.rules).any(|rule| rule.says == Says::Steer && rule.verbs.contains(verb))
    }
}

fn policy_digest(value: &mut Value) -> String {
    if let Value::Object(object) = value {
        object.remove("digest");
    }
    format!("sha256:{}", digest::hex(json::canonical(value).as_bytes()))
}
