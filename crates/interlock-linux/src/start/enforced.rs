//! What was found to stand: the wall as it was built, the filter as it was emitted, and the self-test's results.

use super::places::Own;
use crate::door::net::sender;
use crate::door::resolver::socket_maker::MECHANISM;
use crate::filter::need::Need;
use crate::filter::program::{digest, program};
use crate::filter::table;
use crate::machine::enforcement::{self, Enforcement, Mechanisms};
use crate::tree::failed::Failed;
use crate::tree::wall::Wall;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What stands.
pub(super) struct Enforced {
    wall: Wall,
    need: Need,
    pub(super) places: Own,
    /// Whether names are answered.
    names: bool,
    /// Parts of the self-test of which every test ended as it must.
    passed: BTreeSet<String>,
}

impl Enforced {
    pub(super) fn new(wall: Wall, need: Need, places: Own, names: bool) -> Self {
        Self { wall, need, places, names, passed: BTreeSet::new() }
    }

    /// Notes a result of the self-test, `PART NAME ok` or `PART NAME ERRNO`.
    pub(super) fn note(&mut self, words: &[String]) -> Result<(), Failed> {
        let [part, name, result] = words else { return Err(Failed::own("the start", "spoke nonsense")) };
        if result == "ok" {
            self.passed.insert(part.clone());
            return Ok(());
        }
        let found = match result.as_str() {
            "0" => "it was let through".to_owned(),
            errno => std::io::Error::from_raw_os_error(errno.parse().unwrap_or(0)).to_string(),
        };
        Err(Failed::new(122, format!("self-test `{part} {name}` in the jail did not end as it must: {found}"), "nothing was run"))
    }

    /// For `started` and the session's opening record.
    pub(super) fn told(&self) -> Mechanisms {
        let senders = if self.need.sends { sender::standing() } else { Enforcement::Fully { how: None } };
        let mut told = enforcement::of_session(&self.passed, self.need.shared_ipc, senders, self.places.standing());
        if self.names {
            told.insert(MECHANISM, enforcement::names(true));
        }
        told
    }

    /// The record of the sealed wall.
    pub(super) fn sealed(&self) -> Value {
        let trapped: Vec<&str> = table::ROWS.iter().filter(|row| row.is_trapped(self.need)).map(|row| row.name).collect();
        let admitted: Vec<String> = self.wall.admitted.iter().map(|path| path.display().to_string()).collect();
        json!({
            "type": "wall.sealed", "landlock": {"abi": self.wall.abi, "execute": admitted},
            "filter": digest(&program(self.need)), "trapped": trapped,
        })
    }
}
