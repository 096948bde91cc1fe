//! Structured files, read as far as it takes to say which of their keys have which value.
//!
//! Stricter than the programs that will read them: what two readers could take differently (a repeated key, a name that JavaScript takes for its
//! own, bytes that are not text) is not read at all. Bounded in size, depth and number of keys. No file is opened here.
#![forbid(unsafe_code)]

mod git;
mod json;
mod pointer;
mod toml;

pub use git::{Setting, settings};
use interlock_core::content::{Change, Format, Reading};
use std::collections::BTreeMap;

/// The longest file that is read, in bytes.
pub const BYTES_MAX: usize = 16 << 20;
/// Most keys of a file.
const KEYS_MAX: usize = 200_000;
/// Of all changed keys with their values, in bytes: more is told to nobody.
const CHANGES_BYTES_MAX: usize = 64 << 10;

/// Keys, from the outermost name to the innermost, with their values as text. Lists are values.
pub type Keys = BTreeMap<Vec<String>, String>;

/// The keys of a file. One of no bytes has none, whatever its format. Where it stands says what some values mean.
///
/// # Errors
/// Why it cannot be read as what it should be.
pub fn read(format: Format, name: &[u8], bytes: &[u8]) -> Result<Keys, String> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    if text.is_empty() {
        return Ok(Keys::new());
    }
    let keys = match format {
        Format::Git => git::read(text, name),
        Format::Json => json::read(text),
        Format::Pointer => pointer::read(text),
        Format::Toml => toml::read(text),
    }?;
    if keys.len() > KEYS_MAX { Err(format!("it has more than {KEYS_MAX} keys")) } else { Ok(keys) }
}

/// What would differ for `concern`, if `now` took the place of `before` at `name`. No file is a file without keys.
pub fn compare((format, name): (Format, &[u8]), before: Option<&[u8]>, now: Option<&[u8]>, concern: impl Fn(&Change) -> bool) -> Reading {
    let keys = |bytes: Option<&[u8]>| read(format, name, bytes.unwrap_or_default());
    if before == now {
        return Reading::Changes(Vec::new());
    }
    match (keys(before), keys(now)) {
        (Ok(before), Ok(now)) => bounded(changes(&before, &now).into_iter().filter(concern).collect()),
        (Err(why), _) => Reading::Unreadable(format!("what is there now: {why}")),
        (_, Err(why)) => Reading::Unreadable(why),
    }
}

/// Whether what a file of this format says at `before` still means that at `now`.
#[must_use]
pub fn means_the_same(format: Format, before: &[u8], now: &[u8]) -> bool {
    let module = git::module(before);
    format != Format::Git || module.is_none() || module == git::module(now)
}

fn bounded(changes: Vec<Change>) -> Reading {
    let bytes = |change: &Change| change.key.iter().map(String::len).sum::<usize>() + change.to.as_ref().map_or(0, String::len);
    if changes.iter().map(bytes).sum::<usize>() > CHANGES_BYTES_MAX {
        return Reading::Unreadable(format!("more than {CHANGES_BYTES_MAX} bytes of guarded keys would change"));
    }
    Reading::Changes(changes)
}

/// What differs between two states of a file, by key.
#[must_use]
pub fn changes(before: &Keys, now: &Keys) -> Vec<Change> {
    let set = now.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    let set = set.map(|(key, value)| Change { key: key.clone(), to: Some(value.clone()) });
    set.chain(gone.map(|key| Change { key: key.clone(), to: None })).collect()
}
