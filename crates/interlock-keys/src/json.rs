//! JSON, as strictly as RFC 8259 has it: no comments, no byte order mark, no `NaN`, no repeated key. `interlock_core::json` reads it.
//!
//! An object without members has no keys: it is like none, and so is an empty list. Left out: JSON with comments, which the agents' own settings are not.

use super::Keys;
use interlock_core::json;
use serde_json::Value;

/// What JavaScript may take for an object's own machinery where one object is copied into another.
const MACHINERY: &str = "__proto__";

pub(crate) fn read(text: &str) -> Result<Keys, String> {
    let mut keys = Keys::new();
    flatten(&json::parse(text)?, &mut Vec::new(), &mut keys)?;
    Ok(keys)
}

/// The parser refuses a depth over 128.
fn flatten(value: &Value, name: &mut Vec<String>, keys: &mut Keys) -> Result<(), String> {
    let Value::Object(members) = value else {
        if holds_machinery(value) {
            return Err(format!("it has a key `{MACHINERY}`"));
        }
        if !value.as_array().is_some_and(Vec::is_empty) {
            keys.insert(name.clone(), json::canonical(value));
        }
        return Ok(());
    };
    for (member, value) in members {
        if member == MACHINERY {
            return Err(format!("it has a key `{MACHINERY}`"));
        }
        name.push(member.clone());
        flatten(value, name, keys)?;
        name.pop();
    }
    Ok(())
}

fn holds_machinery(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(holds_machinery),
        Value::Object(members) => members.iter().any(|(member, value)| member == MACHINERY || holds_machinery(value)),
        _ => false,
    }
}
