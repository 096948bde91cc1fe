//! C2SP tlog-tiles beside the log: `tile/<L>/<N>` for full tiles, `tile/<L>/<N>.p/<W>` for the last of each level when a log closes.
//!
//! Tiles are made from the log and can be made again; entry bundles are made at export only, since the log holds the entries.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::private;
use crate::tree::{Hash, TILE_WIDTH, Tile};

/// Where a tile is, below the log's directory (C2SP tlog-tiles, "tile index").
#[must_use]
pub fn path(tile: &Tile) -> PathBuf {
    let width = tile.hashes.len();
    let suffix = if width == TILE_WIDTH { String::new() } else { format!(".p/{width}") };
    PathBuf::from(format!("tile/{}/{}{suffix}", tile.level, index_path(tile.index)))
}

/// `1234067` is `x001/x234/067`.
fn index_path(index: u64) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

/// The hashes of a tile in progress, if it is there as a whole.
#[must_use]
pub fn partial(directory: &Path, level: usize, index: u64, width: usize) -> Option<Vec<Hash>> {
    let place = path(&Tile { level, index, hashes: vec![Hash::default(); width] });
    let bytes = private::read(&directory.join(place)).ok()?;
    let hashes = bytes.chunks(size_of::<Hash>()).map(|chunk| chunk.try_into().ok());
    hashes.collect::<Option<Vec<Hash>>>().filter(|hashes| hashes.len() == width)
}

/// Writes tiles; one that is there with the same bytes is left alone.
///
/// # Errors
/// `Damaged` when a tile is there with other bytes.
pub fn write(directory: &Path, tiles: &[Tile]) -> Result<()> {
    for tile in tiles {
        let place = directory.join(path(tile));
        let bytes = tile.hashes.concat();
        if place.exists() {
            if private::read(&place)? != bytes {
                return Err(Error::Damaged { file: place, offset: 0, what: "a tile that is not of this tree".into() });
            }
            continue;
        }
        if let Some(parent) = place.parent() {
            private::directory(parent)?;
        }
        private::replace(&place, &bytes)?;
        drop_partials(directory, tile);
    }
    Ok(())
}

/// A wider tile replaces the narrower ones of its place.
fn drop_partials(directory: &Path, tile: &Tile) {
    let folder = directory.join(format!("tile/{}/{}.p", tile.level, index_path(tile.index)));
    let Ok(entries) = std::fs::read_dir(&folder) else { return };
    for entry in entries.flatten() {
        let width = entry.file_name().to_str().and_then(|name| name.parse::<usize>().ok());
        if width.is_some_and(|width| width < tile.hashes.len()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    if tile.hashes.len() == TILE_WIDTH {
        let _ = std::fs::remove_dir(&folder);
    }
}
