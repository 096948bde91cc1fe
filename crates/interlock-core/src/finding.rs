//! A finding: what a layer's Rego, or a flow of its, says of one act, as a Fact. It is one more voice in the combining, and can only
//! tighten: it denies, asks, or errs, which denies.
//!
//! Left out: how it came about, which is impure (a module evaluated elsewhere, a server asked, what an agent has from where).

use serde::{Deserialize, Serialize};

/// What a finding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Finds {
    Approve,
    Deny,
    Error,
}

/// One finding of a layer's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What it says.
    pub finds: Finds,
    /// Its name in the layer, as a rule's id.
    pub id: String,
    /// Why, for the person and the agent.
    #[serde(default)]
    pub because: Option<String>,
    /// How long a human is waited for: with [`Finds::Approve`] only.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}
