//! The two checkpoints that bound a writer's work: the first, before anything is taken, and the last, with all tiles.

use crate::error::{Error, Result};
use crate::note::Checkpoint;
use crate::tiles;
use crate::writer::Writer;

/// The first checkpoint of a writer: synced and published before anything else is taken.
pub(crate) fn first_checkpoint(writer: &mut Writer) -> Result<Checkpoint> {
    let checkpoint = writer.checkpoint()?;
    sync_now(writer)?;
    Writer::publish(writer.options(), &checkpoint)?;
    Ok(checkpoint)
}

/// The last checkpoint of a writer, with all tiles.
pub(crate) fn finish(writer: &mut Writer) -> Result<Checkpoint> {
    let checkpoint = first_checkpoint(writer)?;
    let mut all = writer.take_full_tiles();
    all.extend(writer.partial_tiles());
    tiles::write(&writer.options().directory, &all)?;
    writer.trim();
    Ok(checkpoint)
}

fn sync_now(writer: &Writer) -> Result<()> {
    let (file, _) = writer.unsynced();
    writer.options().storage.sync(&file).map_err(|e| Error::Poisoned(format!("syncing the log failed: {e}")))
}
