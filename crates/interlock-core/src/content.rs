//! What an act would make of a structured file: which of its keys would have another value.
//!
//! Left out: reading files (`interlock-keys`), and which keys a rule guards (`keys`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Format {
    Git,
    Json,
    Pointer,
    Toml,
}

impl Format {
    /// Every format.
    pub const ALL: &[Self] = &[Self::Git, Self::Json, Self::Pointer, Self::Toml];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Git => "git configuration",
            Self::Json => "JSON",
            Self::Pointer => "a pointer of git",
            Self::Toml => "TOML",
        }
    }
}

/// One key with the value that it would have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Change {
    /// From the outermost name to the innermost. Of git configuration always three: section, subsection or nothing, key.
    pub key: Vec<String>,
    /// As text; absent where the key would be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A file read as one format, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// The keys that differ.
    Changes(Vec<Change>),
    /// Why they are not known.
    Unreadable(String),
}

/// What is known of the content that an act would put at a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// It is written to a copy of which nobody reads, and is an act of its own when that is whole.
    Held,
    /// By each format that policy asks for.
    Read(BTreeMap<Format, Reading>),
}
