//! How much of a mechanism or a rule this machine enforces, as one typed value (`spec/policy.md`, "What a machine enforces"): `started`, the record
//! that opens a session, and `--doctor` say the same.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", deny_unknown_fields)]
pub enum Enforcement {
    /// All of it.
    #[serde(rename = "fully")]
    Fully {
        /// Where it is not by the usual way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        how: Option<String>,
    },
    /// A part of it.
    #[serde(rename = "partially")]
    Partially {
        /// Why.
        reason: String,
        /// The way around it that is left.
        around: String,
    },
    /// Nothing of it.
    #[serde(rename = "not enforced")]
    NotEnforced {
        /// Why.
        reason: String,
    },
}

/// What enforces a session's policy, by the names that `--doctor` has.
pub type Mechanisms = BTreeMap<&'static str, Enforcement>;

/// What holds a session whose self-test passed the named parts. Anything less would not have started.
#[must_use]
pub fn of_session(passed: &BTreeSet<String>, shared_ipc: bool, unix_senders: Enforcement, places: Enforcement) -> Mechanisms {
    let whole = || Enforcement::Fully { how: None };
    let parts = [("wall", "landlock"), ("door", "notification"), ("filter", "filter")];
    let tested = parts.into_iter().filter(|(part, _)| passed.contains(*part)).map(|(_, name)| (name, whole()));
    let others = [("sentinel", whole()), ("ipc-namespace", ipc(!shared_ipc)), ("unix-senders", unix_senders), ("private-places", places)];
    tested.chain(others).collect()
}

/// System V objects and POSIX message queues of the session's own: by a namespace, or by the door.
#[must_use]
pub fn ipc(own_namespace: bool) -> Enforcement {
    let by_the_door = "by the door, without an IPC namespace (it needs CAP_SYS_ADMIN): POSIX message queues are refused";
    Enforcement::Fully { how: (!own_namespace).then(|| by_the_door.to_owned()) }
}

/// /tmp and its like, which are everybody's: held by rules, and kept apart by mounts where a session `may` have its own. `all` of them, or some.
#[must_use]
pub fn private_places(may: bool, all: bool) -> Enforcement {
    let by_rules = match (may, all) {
        (true, true) => None,
        (true, false) => {
            Some("by rules alone in places that are read-only, or of which policy or the command names something that cannot be kept")
        }
        (false, _) => Some("by rules, without mounts of the session's own (they need CAP_SYS_ADMIN)"),
    };
    Enforcement::Fully { how: by_rules.map(str::to_owned) }
}

/// Answers to questions for names: by sockets of a network of their own, or not at all.
#[must_use]
pub fn names(there: bool) -> Enforcement {
    if there {
        Enforcement::Fully { how: Some("by sockets of a network namespace of its own, exchanged when they ask".to_owned()) }
    } else {
        Enforcement::NotEnforced {
            reason: "a network namespace of its own is refused here: rules that name hosts are refused too".to_owned(),
        }
    }
}

/// The same for a machine, where policies without names lose nothing.
#[must_use]
pub fn names_at_large(there: bool) -> Enforcement {
    match names(there) {
        Enforcement::NotEnforced { .. } => Enforcement::Partially {
            reason: "names of hosts are not answered".to_owned(),
            around: "a policy that names hosts is refused before the start".to_owned(),
        },
        fully => fully,
    }
}

/// The hand-over between caller and supervisor: only its speed depends on the mechanism.
#[must_use]
pub fn wake_up(there: bool) -> Enforcement {
    Enforcement::Fully { how: (!there).then(|| "more slowly: Linux 6.6 hands over on one processor".to_owned()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        value: serde_json::Value,
        valid: bool,
    }

    #[test]
    fn states_are_written_and_read_as_the_vectors_say() {
        let vectors = include_str!("../../../../spec/vectors/enforcement.jsonl");
        let mut valid = 0;
        for line in vectors.lines() {
            let vector: Vector = serde_json::from_str(line).unwrap();
            match serde_json::from_value::<Enforcement>(vector.value.clone()) {
                Ok(read) => {
                    assert!(vector.valid, "{line}");
                    assert_eq!(serde_json::to_value(read).unwrap(), vector.value, "{line}");
                    valid += 1;
                }
                Err(error) => assert!(!vector.valid, "{line}: {error}"),
            }
        }
        assert_eq!(valid, 4);
    }

    #[test]
    fn what_was_not_tried_is_not_said_to_hold() {
        let passed = BTreeSet::from(["wall".to_owned(), "filter".to_owned()]);
        assert!(!of_session(&passed, true, Enforcement::Fully { how: None }, private_places(false, false)).contains_key("notification"));
    }
}
