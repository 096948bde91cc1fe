//! TOML 1.0, by the parser that Codex itself uses. A table without members has no keys: it is like none, and so is an empty list.

use super::Keys;
use toml::{Table, Value};

/// How deep tables are told apart. The parser has a limit of its own before that.
const DEPTH_MAX: usize = 128;

pub(crate) fn read(text: &str) -> Result<Keys, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut keys = Keys::new();
    flatten(&table, &mut Vec::new(), &mut keys)?;
    Ok(keys)
}

fn flatten(table: &Table, name: &mut Vec<String>, keys: &mut Keys) -> Result<(), String> {
    if name.len() >= DEPTH_MAX {
        return Err(format!("it is nested deeper than {DEPTH_MAX}"));
    }
    for (member, value) in table {
        name.push(member.clone());
        match value {
            Value::Table(table) => flatten(table, name, keys)?,
            Value::Array(values) if values.is_empty() => {}
            value => drop(keys.insert(name.clone(), value.to_string())),
        }
        name.pop();
    }
    Ok(())
}
