//! A session's log, made and entered into the user's index: it is signed once before the index names it, and takes nothing else before that.

use std::path::Path;

use serde_json::Map;

use crate::bounds::first_checkpoint;
use crate::error::Result;
use crate::index::{Index, Registration};
use crate::keys::Keys;
use crate::log::Log;
use crate::options::Options;
use crate::recover::complete_left;
use crate::writer::Writer;

/// Opens a fresh log called `name` (`sessions/<session>` or `gateway/<start>`) in `directory`, and enters it into `index`.
/// `Log::close` enters its end. What killed writers left is completed first.
///
/// # Errors
/// The index or the log is damaged or held, a key is missing, or nothing can be written: the session must not start.
pub fn open_session(directory: &Path, name: &str, index: &Path, keys: &Keys) -> Result<Log> {
    open_session_with(Options::new(directory, name, keys), name, index)
}

/// As `open_session`, with clock and disk chosen by the caller.
///
/// # Errors
/// As `open_session`.
pub fn open_session_with(options: Options, name: &str, index: &Path) -> Result<Log> {
    let keys = options.keys.clone();
    let entry = Index::lock(index, &keys)?;
    let mut opening = Map::new();
    opening.insert("type".into(), "log.opened".into());
    opening.insert("index_head".into(), entry.head());
    let left = entry.to_complete();
    let mut writer = Writer::open(options, opening, &mut |_| {})?;
    let checkpoint = first_checkpoint(&mut writer)?;
    entry.opened(name, &checkpoint)?;
    complete_left(index, &keys, &left);
    Log::around(writer, Some(Registration::new(name, index, &keys, None)))
}
