//! A record on its way into the log: canonical bytes with three gaps, filled in under the lock, where its number and time are known.

use serde_json::{Map, Value};

use crate::canonical;
use crate::clock::{Reading, rfc3339};
use crate::error::{Error, Result};

/// The largest record, canonical bytes (spec/record.md).
pub const RECORD_BYTES_MAX: usize = 60 * 1024;
/// What the writer may still add: number, tick and time.
const FILLED_BYTES_MAX: usize = 64;
/// Values smaller than this are never replaced by their digest.
const REPLACED_BYTES_MIN: usize = 256;
/// Keys that the writer fills in; a caller's record that holds one is refused.
const RESERVED: [&str; 5] = ["record", "session", "tick", "time", "v"];

/// Canonical bytes, cut where `record`, `tick` and `time` go (in this order, which is the order of their names).
pub(crate) struct Draft {
    parts: [Vec<u8>; 4],
    /// True if it permits nothing, and may therefore be written into the reserve.
    pub(crate) last_words: bool,
}

impl Draft {
    pub(crate) fn new(record: Value, session: &str) -> Result<Self> {
        let Value::Object(mut members) = record else { return Err(Error::Record("it is not a JSON object".into())) };
        if let Some(key) = RESERVED.iter().find(|key| members.contains_key(**key)) {
            return Err(Error::Record(format!("`{key}` is filled in by the ledger")));
        }
        if !members.get("type").is_some_and(Value::is_string) {
            return Err(Error::Record("it has no `type`".into()));
        }
        let last_words = permits_nothing(&members);
        let mut draft = Self { parts: cut(&members, session), last_words };
        if draft.bytes() > RECORD_BYTES_MAX {
            shrink(&mut members, draft.bytes() - RECORD_BYTES_MAX)?;
            draft.parts = cut(&members, session);
        }
        if draft.bytes() > RECORD_BYTES_MAX {
            return Err(Error::Record(format!("it is larger than {RECORD_BYTES_MAX} bytes even with digests for its values")));
        }
        Ok(draft)
    }

    /// The most bytes it will have.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(Vec::len).sum::<usize>() + FILLED_BYTES_MAX
    }

    /// Appends the finished record.
    pub(crate) fn finish(&self, number: u64, now: Reading, out: &mut Vec<u8>) {
        let [head, after_record, after_tick, after_time] = &self.parts;
        out.extend_from_slice(head);
        canonical::write_integer(number, out);
        out.extend_from_slice(after_record);
        canonical::write_integer(now.tick_ns, out);
        out.extend_from_slice(after_tick);
        canonical::write_string(&rfc3339(now.time_us), out);
        out.extend_from_slice(after_time);
    }
}

fn cut(members: &Map<String, Value>, session: &str) -> [Vec<u8>; 4] {
    let mut keys: Vec<&str> = members.keys().map(String::as_str).chain(RESERVED).collect();
    keys.sort_unstable_by(|a, b| canonical::compare(a, b));
    let mut parts: [Vec<u8>; 4] = [Vec::with_capacity(1024), Vec::new(), Vec::new(), Vec::new()];
    let mut filled = 0;
    for (at, key) in keys.into_iter().enumerate() {
        let Some(part) = parts.get_mut(filled) else { continue };
        part.push(if at == 0 { b'{' } else { b',' });
        canonical::write_string(key, part);
        part.push(b':');
        match key {
            "record" | "tick" | "time" => filled += 1,
            "session" => canonical::write_string(session, part),
            "v" => part.push(b'1'),
            other => canonical::write(members.get(other).unwrap_or(&Value::Null), part),
        }
    }
    if let Some(last) = parts.get_mut(filled) {
        last.push(b'}');
    }
    parts
}

/// A full disk stops what would permit something; what says no, or how something ended, goes into the reserve.
fn permits_nothing(members: &Map<String, Value>) -> bool {
    let decision = members.get("decision").and_then(|decision| decision.get("decision").or(Some(decision))).and_then(Value::as_str);
    match members.get("type").and_then(Value::as_str) {
        Some("action.decided") => decision == Some("deny"),
        Some("approval.answered") => members.get("answer").and_then(Value::as_str).is_some_and(|answer| answer != "yes"),
        Some("action.enacted" | "call.refused" | "token.refused" | "session.closed" | "gap" | "race.lost") => true,
        _ => false,
    }
}

/// Replaces the largest values by `{"bytes", "digest"}` until `excess` bytes are saved: the largest leaf-ward value first.
fn shrink(members: &mut Map<String, Value>, excess: usize) -> Result<()> {
    let mut saved = 0;
    while saved < excess {
        let Some(step) = replace_largest(members) else {
            return Err(Error::Record(format!("it is larger than {RECORD_BYTES_MAX} bytes and no single value of it is large")));
        };
        saved += step;
    }
    Ok(())
}

fn replace_largest(members: &mut Map<String, Value>) -> Option<usize> {
    let sized = members.iter().filter(|(_, value)| !is_digest(value)).map(|(key, value)| (canonical::bytes(value).len(), key.clone()));
    let (size, key) = sized.max()?;
    if size < REPLACED_BYTES_MIN {
        return None;
    }
    let value = members.get_mut(&key)?;
    if let Some(saved) = value.as_object_mut().and_then(replace_largest) {
        return Some(saved);
    }
    let replacement = digest(value);
    let after = canonical::bytes(&replacement).len();
    *value = replacement;
    Some(size.saturating_sub(after))
}

fn is_digest(value: &Value) -> bool {
    value.as_object().is_some_and(|inner| inner.len() == 2 && inner.contains_key("bytes") && inner.contains_key("digest"))
}

/// What stands for a value too large for its record: SHA-256 and length of its canonical bytes.
#[must_use]
pub fn digest(value: &Value) -> Value {
    use sha2::{Digest, Sha256};
    let bytes = canonical::bytes(value);
    let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({"bytes": bytes.len(), "digest": format!("sha256:{hex}")})
}
