//! A Grant: a human's yes to one question, as a Fact. It never edits a decision; the same `decide` runs again with it.

use serde::{Deserialize, Serialize};

/// A yes to one question (`spec/action.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `g-…`
    pub id: String,
    /// Digest of the Action it was given for.
    pub digest: String,
    /// Who said yes, for example `uid:1000`.
    pub approver: String,
    /// Milliseconds since 1970; at and after this time it is no grant.
    pub expires_ms: u64,
    /// Uses left.
    pub uses: u64,
}

impl Grant {
    /// Whether it answers the question about the Action with this digest, put by this agent, at this time. An agent is never its own
    /// approver.
    pub fn covers(&self, digest: &str, agent: Option<&str>, now_ms: u64) -> bool {
        self.digest == digest && self.uses > 0 && self.expires_ms > now_ms && self.by_another(agent)
    }

    fn by_another(&self, agent: Option<&str>) -> bool {
        let approver = self.approver.strip_prefix("agent:").unwrap_or(&self.approver);
        !approver.is_empty() && agent != Some(approver)
    }
}
