//! The port through which the log touches the disk, so that a test can make the disk fail.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::FallocateFlags;

/// What a log asks of a disk.
pub trait Storage: Send + Sync {
    /// Appends all of `bytes` at the end of `file`.
    ///
    /// # Errors
    /// write(2) failed or was cut short.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable: fdatasync(2).
    ///
    /// # Errors
    /// It failed; the caller must not ask again.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Sets blocks aside for `file` up to `end`, beyond its size: fallocate(2) with `FALLOC_FL_KEEP_SIZE`.
    ///
    /// # Errors
    /// No space; or the file system cannot.
    fn reserve(&self, file: &File, from: u64, end: u64) -> io::Result<()>;
}

/// The disk itself.
pub struct Disk;

impl Storage for Disk {
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn reserve(&self, file: &File, from: u64, end: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, from, end.saturating_sub(from))?)
    }
}
