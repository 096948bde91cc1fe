//! The compiled policy's JSON, key by key (`spec/policy.md`, Compiled policy). An unknown or repeated key is an error everywhere.

use crate::action::{Bytes, Inode, Protocol, Side};
use crate::content::Format;
use crate::decision::{Obligations, Says};
use crate::facts::{History, Labels, Origin};
use crate::json::Strict;
use crate::resources::{Environment, Limits};
use crate::steer::Steer;
use crate::verb::Verb;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub interlock: u64,
    #[serde(default)]
    pub digest: Option<String>,
    pub layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    pub name: String,
    pub origin: LayerOrigin,
    #[serde(default)]
    pub closed: bool,
    /// Of the layer's source, for people; the policy's own digest covers it.
    #[serde(default, rename = "digest")]
    pub _digest: Option<String>,
    #[serde(default)]
    pub environment: Option<Environment>,
    #[serde(default)]
    pub limits: Option<Limits>,
    /// How the gateway scores calls, what it makes of results and whom it asks besides: read by it alone; the policy's own digest covers them.
    #[serde(default, rename = "risk")]
    pub _risk: Option<IgnoredAny>,
    #[serde(default, rename = "labels")]
    pub _labels: Option<IgnoredAny>,
    #[serde(default)]
    pub rego: Option<IgnoredAny>,
    #[serde(default)]
    pub flows: Option<IgnoredAny>,
    pub rules: Vec<Rule>,
}

/// Where a layer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LayerOrigin {
    Builtin,
    User,
    Organisation,
    Team,
    Project,
    Workspace,
    Task,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub id: String,
    pub decision: Says,
    pub verbs: Vec<Verb>,
    #[serde(default)]
    pub because: Option<String>,
    #[serde(default, rename = "match")]
    pub selectors: Selectors,
    #[serde(default)]
    pub when: Option<When>,
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    #[serde(default)]
    pub steer: Option<Steer>,
    #[serde(default)]
    pub obligations: Obligations,
    #[serde(default)]
    pub unless_allowed: bool,
    #[serde(default)]
    pub best_effort: bool,
    #[serde(default)]
    pub source: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Selectors {
    pub path: Option<Vec<Bytes>>,
    pub except: Option<Vec<Bytes>>,
    pub except_within: Option<Vec<Bytes>>,
    pub inodes: Option<Vec<Inode>>,
    pub keys: Option<Keys>,
    pub address: Option<Vec<String>>,
    pub host: Option<Vec<String>>,
    pub private: Option<bool>,
    pub port: Option<Vec<(u16, u16)>>,
    pub user: Option<Vec<String>>,
    pub protocol: Option<Vec<Protocol>>,
    pub to: Option<Side>,
    pub signal: Option<Vec<i32>>,
    pub command: Option<Command>,
    pub connector: Option<Vec<String>>,
    pub tool: Option<Vec<String>>,
    pub operation: Option<Vec<String>>,
    pub arguments: Option<Vec<Condition>>,
    pub answers: Option<Vec<Condition>>,
    pub sql: Option<Statements>,
}

/// Keys of a structured file, as they are written (`keys`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Keys {
    pub format: Format,
    #[serde(default)]
    pub named: Vec<String>,
    #[serde(default)]
    pub except: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statements {
    #[serde(default)]
    pub verb: Option<Vec<String>>,
    #[serde(default)]
    pub tables: Option<Vec<String>>,
    #[serde(default)]
    pub changed: Option<Vec<String>>,
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    #[serde(default)]
    pub functions: Option<Vec<String>>,
    #[serde(default)]
    pub r#where: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    #[serde(default)]
    pub program: Option<Vec<Bytes>>,
    #[serde(default)]
    pub words: Option<Vec<Bytes>>,
    #[serde(default)]
    pub any_flag: Option<Vec<Bytes>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub at: String,
    pub test: String,
    pub value: Strict,
}

/// Facts that must hold for a rule to speak. Every Fact that is named must be known, else the rule errs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct When {
    #[serde(default)]
    pub risk_at_least: Option<u8>,
    #[serde(default)]
    pub labels_any: Option<Labels>,
    #[serde(default)]
    pub origin: Option<Origin>,
    #[serde(default)]
    pub history: Option<BTreeSet<History>>,
}

/// Where a rule stands in its file, 1-based.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Source {
    pub file: String,
    pub line: u64,
    pub column: u64,
}
