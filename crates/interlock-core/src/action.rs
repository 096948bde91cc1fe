//! An Action: what is about to happen, normalised, on either plane (`spec/action.md`).
//!
//! Built at the edge by whoever observed it; below the edge nothing checks it again.

pub use crate::bytes::Bytes;
pub use crate::target::{FileEnd, Inode, Protocol, Side, Target};
pub use crate::verb::{Plane, Verb};

use crate::json::{self, Strict};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The process that acts, on the host plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Process {
    pub id: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Bytes>,
}

/// Who acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// What is about to happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Action {
    pub id: String,
    pub plane: Plane,
    pub verb: Verb,
    pub target: Target,
    #[serde(default)]
    pub subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
}

impl Action {
    /// Reads the JSON of `spec/action.md`, strictly: repeated and unknown keys, a target that is not of the verb's shape, a path
    /// that is not as the kernel resolves them, are errors that say so.
    pub fn from_json(text: &str) -> Result<Self, String> {
        Self::from_value(json::parse(text)?)
    }

    /// The same, of JSON already parsed.
    pub fn from_value(value: Value) -> Result<Self, String> {
        json::no_lists(&value, PLACES)?;
        let wire: Wire = serde_json::from_value(value).map_err(|error| error.to_string())?;
        wire.check()
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer)?.check().map_err(serde::de::Error::custom)
    }
}

/// Where an object belongs.
const PLACES: &[&str] = &[
    "",
    "target",
    "target/to",
    "target/inode",
    "target/to/inode",
    "target/content/read/git/changes/*",
    "target/content/read/json/changes/*",
    "target/content/read/toml/changes/*",
    "target/to/content/read/git/changes/*",
    "target/to/content/read/json/changes/*",
    "target/to/content/read/toml/changes/*",
    "target/sql",
    "subject",
    "subject/process",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    id: String,
    plane: Plane,
    verb: Verb,
    target: Strict,
    #[serde(default)]
    subject: Subject,
    #[serde(default)]
    nonce: Option<String>,
}

impl Wire {
    fn check(self) -> Result<Action, String> {
        if self.plane != self.verb.plane() {
            return Err(format!("`{}` is not a verb of this plane", self.verb));
        }
        let target = Target::parse(self.verb, self.target.0)?;
        Ok(Action { id: self.id, plane: self.plane, verb: self.verb, target, subject: self.subject, nonce: self.nonce })
    }
}
