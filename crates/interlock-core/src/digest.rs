//! Digests: SHA-256, lowercase hex, over a canonical form. What an approval is bound to.

use crate::action::Action;
use crate::json;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// An Action's digest: over its canonical form without `id`. Absent, null and empty optional keys are left out, so that one act has
/// one digest however its JSON was written.
pub fn action_digest(action: &Action) -> String {
    let mut value = serde_json::to_value(action).unwrap_or(Value::Null);
    if let Value::Object(object) = &mut value {
        object.remove("id");
    }
    hex(json::canonical(&value).as_bytes())
}

/// SHA-256 of the bytes, lowercase hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(bytes);
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble)).map(|digit| char::from(*digit))).collect()
}
