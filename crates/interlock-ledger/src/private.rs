//! Files and directories that only their owner may touch: made so, and refused when they are not.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};

use crate::error::{Error, Result};

/// A key or checkpoint file is never larger.
const SMALL_FILE_BYTES_MAX: u64 = 16 * 1024;

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

/// Makes `path` and what is missing above it, each 0700, and checks that it is a directory of ours that nobody else may enter.
///
/// # Errors
/// It cannot be made, is a symlink or no directory, belongs to another user, or others have rights on it.
pub fn directory(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io("make the directory", path, &e))?;
    let is = std::fs::symlink_metadata(path).map_err(|e| Error::io("look at", path, &e))?;
    if !is.is_dir() || is.uid() != rustix::process::geteuid().as_raw() || is.mode() & 0o077 != 0 {
        return Err(Error::Key(format!("`{}` must be a directory of this user with mode 0700", path.display())));
    }
    Ok(())
}

/// Opens a new file, 0600, that must not exist.
///
/// # Errors
/// It exists or cannot be made.
pub fn create(path: &Path) -> Result<File> {
    let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).custom_flags(flags(OFlags::NOFOLLOW)).clone();
    options.open(path).map_err(|e| Error::io("create", path, &e))
}

/// Opens an existing file without following a symlink.
///
/// # Errors
/// It is absent, a symlink, or not ours alone.
pub fn open(path: &Path, write: bool) -> Result<File> {
    let options = OpenOptions::new().read(true).write(write).custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)).clone();
    let file = options.open(path).map_err(|e| Error::io("open", path, &e))?;
    let is = file.metadata().map_err(|e| Error::io("look at", path, &e))?;
    if !is.is_file() || is.uid() != rustix::process::geteuid().as_raw() || is.mode() & 0o022 != 0 {
        return Err(Error::Key(format!("`{}` must be a regular file of this user that others cannot write", path.display())));
    }
    Ok(file)
}

/// The whole of a small file.
///
/// # Errors
/// As `open`; or it is larger than such a file may be.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_up_to(path, SMALL_FILE_BYTES_MAX)
}

/// The whole of a file of at most `bytes_max` bytes.
///
/// # Errors
/// As `open`; or it is larger.
pub fn read_up_to(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    // Room for a small file from the beginning: without it the reader feels its way in steps of 32 bytes.
    let mut bytes = Vec::with_capacity(16 * 1024);
    open(path, false)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, &e))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Error::Key(format!("`{}` is too large for what it should be", path.display())));
    }
    Ok(bytes)
}

/// Puts a whole file in place at once: a reader sees the old one or the new one. Synced before it is named.
///
/// # Errors
/// The operating system refused.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    let file = beside_with(&beside, bytes)?;
    file.sync_data().map_err(|e| Error::io("sync", &beside, &e))?;
    std::fs::rename(&beside, path).map_err(|e| Error::io("name", path, &e))
}

/// As `replace`, for what can be made again: after a crash of the machine it may be gone or empty.
///
/// # Errors
/// The operating system refused.
pub fn replace_unsynced(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("new");
    beside_with(&beside, bytes)?;
    std::fs::rename(&beside, path).map_err(|e| Error::io("name", path, &e))
}

fn beside_with(beside: &Path, bytes: &[u8]) -> Result<File> {
    let _ = std::fs::remove_file(beside);
    let mut file = create(beside)?;
    if let Err(error) = file.write_all(bytes) {
        let _ = std::fs::remove_file(beside);
        return Err(Error::io("write", beside, &error));
    }
    Ok(file)
}

/// Takes the lock of a directory (flock(2) on the directory itself, so that no file is needed for it). Held until the file is dropped.
///
/// # Errors
/// `Locked` when another holds it and `wait` is false.
pub fn lock(path: &Path, wait: bool) -> Result<File> {
    let options = OpenOptions::new().read(true).custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY)).clone();
    let file = options.open(path).map_err(|e| Error::io("open", path, &e))?;
    let operation = if wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
    match rustix::fs::flock(&file, operation) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Locked(path.to_path_buf())),
        Err(error) => Err(Error::io("lock", path, &error.into())),
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// The sync failed.
pub fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|e| Error::io("sync", path, &e))
}
