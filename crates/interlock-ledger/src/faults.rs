//! A disk that fails on purpose, for tests: `INTERLOCK_FAULT=sync:3` makes the third fdatasync fail with EIO,
//! `append:10` the tenth write, `reserve:2` the second reservation with ENOSPC, `full:4096` every reservation beyond that many bytes.
//! Only with the feature `faults`, never in a release.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::{Disk, Storage};

/// What fails, and when.
pub struct Faulty {
    what: String,
    number: u64,
    seen: AtomicU64,
}

impl Faulty {
    /// A disk on which the `number`th `what` fails.
    #[must_use]
    pub fn new(what: &str, number: u64) -> Self {
        Self { what: what.into(), number, seen: AtomicU64::new(0) }
    }

    /// As `INTERLOCK_FAULT` says; none when it is unset or unreadable.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let text = std::env::var("INTERLOCK_FAULT").ok()?;
        let (what, number) = text.split_once(':')?;
        Some(Self::new(what, number.parse().ok()?))
    }

    fn strikes(&self, what: &str) -> bool {
        self.what == what && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.number
    }
}

impl Storage for Faulty {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        if self.strikes("append") { Err(io::Error::from_raw_os_error(5)) } else { Disk.append(file, bytes) }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.strikes("sync") { Err(io::Error::from_raw_os_error(5)) } else { Disk.sync(file) }
    }

    fn reserve(&self, file: &File, from: u64, end: u64) -> io::Result<()> {
        if self.strikes("reserve") || self.what == "full" && end > self.number {
            return Err(io::Error::from_raw_os_error(28));
        }
        Disk.reserve(file, from, end)
    }
}
