//! Completing what a killed writer left: its torn tail is cut, its undecided ends are said to be unknown, its log is closed and indexed.
//!
//! A log whose lock is held has a living writer and is left alone. So is one that is damaged: that is for the verifier to say.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::bounds::finish;
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::index::{Index, Registration};
use crate::keys::Keys;
use crate::options::Options;
use crate::private;
use crate::scan::segment_path;
use crate::writer::{Writer, read};

/// Decisions without an end that are kept in mind while a log is read; more are only counted.
const ORPHANS_MAX: usize = 100_000;
/// Logs that one start completes; the next goes on.
const COMPLETED_AT_START_MAX: usize = 64;

/// A log that was not closed by its writer.
#[derive(Debug)]
pub struct Recovered {
    /// `sessions/…` or `gateway/…`.
    pub name: String,
    /// How many actions were decided and never said to have ended; or why the log could not be completed.
    pub outcome: Result<u64>,
}

/// Completes every unclosed log below `ledger` (the directory that holds `index`, `sessions`, `gateway`).
///
/// # Errors
/// The index cannot be read. What is wrong with one log is in its own outcome.
pub fn recover(ledger: &Path, keys: &Keys) -> Result<Vec<Recovered>> {
    let index = ledger.join("index");
    if !segment_path(&index, 0).exists() {
        return Ok(Vec::new());
    }
    let open = Index::lock(&index, keys)?.open_logs();
    Ok(open.into_iter().filter_map(|name| completed(ledger, name, keys)).collect())
}

/// Completes those of `names` whose writer is gone, as far as that goes: this is done at a start, which it must not stop.
/// What is damaged is set aside for `recover` and the verifier.
pub(crate) fn complete_left(index: &Path, keys: &Keys, names: &[String]) {
    let Some(ledger) = index.parent() else { return };
    let found = names.iter().filter_map(|name| completed(ledger, name.clone(), keys)).take(COMPLETED_AT_START_MAX);
    let damaged = |log: &Recovered| matches!(log.outcome, Err(Error::Damaged { .. } | Error::Inconsistent(_)));
    let damaged: Vec<String> = found.filter(damaged).map(|log| log.name).collect();
    if damaged.is_empty() {
        return;
    }
    if let Ok(index) = Index::lock(index, keys) {
        index.set_aside(damaged);
    }
}

/// How completing went; none when a living writer has the log, or somebody else completed it meanwhile.
fn completed(ledger: &Path, name: String, keys: &Keys) -> Option<Recovered> {
    match complete(ledger, &name, keys) {
        Err(Error::Locked(_)) | Ok(None) => None,
        Ok(Some(orphans)) => Some(Recovered { name, outcome: Ok(orphans) }),
        Err(error) => Some(Recovered { name, outcome: Err(error) }),
    }
}

fn complete(ledger: &Path, name: &str, keys: &Keys) -> Result<Option<u64>> {
    let directory = ledger.join(name);
    if !segment_path(&directory, 0).exists() {
        return Err(Error::Damaged { file: directory, offset: 0, what: "the index names this log and it is gone".into() });
    }
    let lock = private::lock(&directory, false)?;
    let index = Index::lock(&ledger.join("index"), keys)?;
    if !index.is_open(name) {
        return Ok(None);
    }
    let mut ends = Ends::default();
    let mut opening = Map::new();
    opening.insert("type".into(), "log.opened".into());
    opening.insert("index_head".into(), index.head());
    drop(index);
    let options = Options::new(&directory, name, keys);
    let found = read(&options, &mut |record| ends.take(record))?;
    let mut writer = Writer::start(options, lock, found, opening)?;
    let orphans = ends.orphans();
    for record in ends.closing() {
        let draft = Draft::new(record, &writer.options().session.clone())?;
        writer.push(&draft)?;
        if writer.batch_is_large() {
            writer.commit()?;
        }
    }
    let checkpoint = finish(&mut writer)?;
    Registration::new(name, &ledger.join("index"), keys, Some("its writer ended without closing it")).closed(&checkpoint)?;
    drop(writer);
    Ok(Some(orphans))
}

/// Which decisions have no end yet.
#[derive(Default)]
struct Ends {
    /// Record number → action id, of what was permitted and has not ended.
    open: BTreeMap<u64, String>,
    /// The same by action, so that an end is found at once.
    by_action: HashMap<String, Vec<u64>>,
    uncounted: u64,
    closed: bool,
}

impl Ends {
    fn take(&mut self, record: &[u8]) {
        let Ok(record) = serde_json::from_slice::<Value>(record) else { return };
        match record.get("type").and_then(Value::as_str) {
            Some("action.decided") => self.decided(&record),
            Some("action.enacted") => self.enacted(record.get("action").and_then(Value::as_str).unwrap_or_default()),
            Some("routine") => self.effects(record.get("effects").and_then(Value::as_array)),
            Some("session.closed") => self.closed = true,
            _ => {}
        }
    }

    fn decided(&mut self, record: &Value) {
        let said = record.pointer("/decision/decision").and_then(Value::as_str);
        let id = record.pointer("/action/id").and_then(Value::as_str);
        let (Some("allow" | "steer"), Some(id), Some(number)) = (said, id, record.get("record").and_then(Value::as_u64)) else { return };
        if self.open.len() < ORPHANS_MAX {
            self.open.insert(number, id.into());
            self.by_action.entry(id.into()).or_default().push(number);
        } else {
            self.uncounted += 1;
        }
    }

    fn enacted(&mut self, id: &str) {
        for number in self.by_action.remove(id).unwrap_or_default() {
            self.open.remove(&number);
        }
    }

    fn effects(&mut self, effects: Option<&Vec<Value>>) {
        for pair in effects.into_iter().flatten() {
            if let Some(number) = pair.get(0).and_then(Value::as_u64) {
                self.open.remove(&number);
            }
        }
    }

    fn orphans(&self) -> u64 {
        self.open.len() as u64 + self.uncounted
    }

    /// What is still to be said. A log that was closed and not entered into the index is closed once more, since it was opened once more.
    fn closing(&self) -> Vec<Value> {
        let unknown =
            |id: &String| json!({"type": "action.enacted", "action": id, "effect": "unknown", "reason": "the writer ended first"});
        let mut records: Vec<Value> = self.open.values().map(unknown).collect();
        let lost = "the writer ended without closing; what it counted in its last 50 ms is not known";
        if !self.closed {
            records.push(json!({"type": "gap", "lost": null, "reason": lost, "orphans": self.orphans()}));
        }
        records.push(json!({"type": "session.closed", "status": null, "counts": null, "runs_later": null, "reason": "recovered: the writer ended without closing"}));
        records
    }
}
