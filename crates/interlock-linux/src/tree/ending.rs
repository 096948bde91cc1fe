//! How a session comes to its end: the first reason stands, and the launching thread is woken by a pipe.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// Why the tree is to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody entitled said so: `end` on a socket, or `run` went without `release`.
    Told(String),
    /// Interlock itself failed: exit code 123.
    Failed(String),
}

/// The one place where an end is announced.
pub struct Ending {
    reason: Mutex<Option<Reason>>,
    wake: OwnedFd,
    woken: OwnedFd,
}

impl Ending {
    /// # Errors
    /// EMFILE.
    pub fn new() -> std::io::Result<Self> {
        let (woken, wake) = crate::sys::descriptors::pipe()?;
        Ok(Self { reason: Mutex::new(None), wake, woken })
    }

    /// Somebody said so.
    pub fn told(&self, reason: &str) {
        self.announce(Reason::Told(reason.to_owned()));
    }

    /// Interlock failed.
    pub fn failed(&self, reason: &str) {
        self.announce(Reason::Failed(reason.to_owned()));
    }

    fn announce(&self, reason: Reason) {
        let mut first = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(reason);
            if let Ok(end) = self.wake.try_clone() {
                let _full = std::fs::File::from(end).write(b"!");
            }
        }
    }

    /// Readable once an end was announced.
    #[must_use]
    pub fn announced(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }

    /// Why, if announced.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
