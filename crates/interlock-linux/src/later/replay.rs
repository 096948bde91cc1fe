//! The same from a session's record, for one whose supervisor was killed or still runs: the changes that were allowed, in order.
//!
//! What a name held before is not in the record, so every key that makes something run is listed. Nor is a removal told from an overwriting: whether
//! something is there is looked at.

use super::{Later, Passing};
use crate::wire::messages::{PrivatePlace, RunsLater};
use interlock_core::action::Bytes;
use interlock_core::target::Target;
use interlock_core::verb::Verb;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::BufRead;

/// The first line: what the session was started with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    runs_later: RunsLater,
    workspace: Bytes,
    home: Bytes,
    #[serde(default)]
    private_places: Vec<PrivatePlace>,
}

/// Reads the start and a line for each change, `{"verb", "target"}`; what is left of it.
///
/// # Errors
/// What was not understood.
pub fn run(lines: impl BufRead) -> Result<Value, String> {
    let mut lines = lines.lines();
    let first = lines.next().ok_or("nothing came")?.map_err(|error| error.to_string())?;
    let Start { runs_later, workspace, home, private_places } = serde_json::from_str(&first).map_err(|error| error.to_string())?;
    let later = Later::new(&runs_later, &workspace, &home, Passing::new(&private_places))?;
    for line in lines {
        let line: Value = serde_json::from_str(&line.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        let verb = line.get("verb").and_then(Value::as_str).and_then(Verb::parse).ok_or("an act without a verb")?;
        let target = Target::parse(verb, line.get("target").cloned().unwrap_or_default())?;
        if verb != Verb::FileDelete {
            later.note(super::Changes(super::change(verb, &target, true).into_iter().collect()));
        }
    }
    let (left, mut told) = (later.left(), json!({}));
    left.tell(&mut told, &json!(left.items));
    Ok(told)
}
