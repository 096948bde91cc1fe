//! Facts: all that is impure, gathered before deciding. With them `decide` is a function.

use crate::finding::Finding;
use crate::grant::Grant;
use crate::json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Highest risk score.
pub const RISK_MAX: u8 = 100;

/// Labels in force, by where they sit: `{"context": ["untrusted"]}`.
pub type Labels = BTreeMap<String, BTreeSet<String>>;

/// Whether the object was there before this session, or was made through its door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Origin {
    Before,
    Session,
}

/// What a name's content, or the folder around it, had to do with the person before this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// The content is what the repository had at this path before the session.
    Tracked,
    /// The name lies in a folder that came with this session, at a name that led nowhere before.
    Session,
    /// Neither.
    None,
}

/// What is known when deciding. `None` is "not known": a rule that needs it errs, and an erring rule denies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// The yeses in force.
    pub grants: Vec<Grant>,
    /// Risk score, 0 to [`RISK_MAX`].
    pub risk: Option<u8>,
    /// Labels of what this act draws on.
    pub labels: Option<Labels>,
    /// Of the object acted upon, or of the folder in which a name is made.
    pub origin: Option<Origin>,
    /// Of what stands at the destination of a rename or link, or of the folder in which that name is made.
    pub origin_to: Option<Origin>,
    /// Of the content that is read, removed, moved or installed.
    pub history: Option<History>,
    /// Of what a rename or link installs at its destination.
    pub history_to: Option<History>,
    /// What the Rego and the flows of each layer found, by the layer's name. A layer that has some and is not here errs.
    pub findings: Option<BTreeMap<String, Vec<Finding>>>,
}

/// Which Facts a policy asks for about one act. What nobody asks for need not be gathered, and is then recorded as not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The clock and the grants: a rule asks a human.
    pub grants: bool,
    /// The risk score.
    pub risk: bool,
    /// Labels, by the places where they sit.
    pub labels: BTreeSet<String>,
    /// Where the object comes from.
    pub origin: bool,
    /// What of it was there before.
    pub history: bool,
    /// The layers whose Rego and flows have to be asked.
    pub findings: BTreeSet<String>,
}

impl Facts {
    /// Reads the JSON of `spec/action.md`, strictly. Errors say what is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        Self::from_value(json::parse(text)?)
    }

    /// The same, of JSON already parsed.
    pub fn from_value(value: Value) -> Result<Self, String> {
        json::no_lists(&value, &["", "grants/*", "grants/*/reach", "findings", "findings/*/*"])?;
        let facts: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        match facts.risk {
            Some(risk) if risk > RISK_MAX => Err(format!("risk `{risk}` is over {RISK_MAX}")),
            _ => Ok(facts),
        }
    }
}
