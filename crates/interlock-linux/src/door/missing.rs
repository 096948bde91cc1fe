//! What processes meant to have put somewhere and is not there: refused at its name, or after it was written, where only content of before may stand
//! (`file::copy`). Kept until its maker is told (`file::index`), begins anew, or is gone.
//!
//! A process is known by a descriptor of it: a number alone becomes somebody else's. Left out: who is told, and how.

use super::seen::caller::{Caller, Stop};
use crate::sys::descriptors::{take_from, wait_readable};
use crate::sys::process;
use interlock_abi::status::state_and_parent;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names kept, of all processes; the oldest goes first.
const KEPT_MAX: usize = 64;

/// The process that makes a file, and the one that may have it made on its behalf.
#[derive(Default)]
pub struct Makers(Vec<(i32, OwnedFd)>);

/// All that is missing.
#[derive(Default)]
pub struct Missing {
    /// How much it is: asked by every call that could end something, of the field itself.
    pub count: AtomicUsize,
    all: Mutex<Vec<(Arc<Makers>, Vec<u8>)>>,
}

impl Makers {
    /// The caller's process.
    ///
    /// # Errors
    /// It is gone.
    pub fn process_of(caller: &Caller<'_>) -> Result<Self, Stop> {
        let process = caller.process()?;
        let held = process::descriptor(process)?;
        // Who waits still has its number.
        caller.confirm()?;
        Ok(Self(vec![(process, held)]))
    }

    /// The caller's process and its parent: git has files written by workers.
    ///
    /// # Errors
    /// It is gone.
    pub fn family_of(caller: &Caller<'_>) -> Result<Self, Stop> {
        let Self(mut held) = Self::process_of(caller)?;
        let parent = || Some(state_and_parent(&caller.proc_text("stat").ok()?)?.1);
        if let Some(number) = parent() {
            let descriptor = process::descriptor(number).ok();
            // One that had died would not be the parent any more.
            held.extend(descriptor.filter(|_| parent() == Some(number)).map(|descriptor| (number, descriptor)));
        }
        caller.confirm()?;
        Ok(Self(held))
    }

    /// Whether the process with this number, which lives, is one of them.
    #[must_use]
    pub fn has(&self, process: i32) -> bool {
        self.0.iter().any(|(number, held)| *number == process && wait_readable(&[held.as_fd()], 0).is_empty())
    }

    /// The open file that the first of them has as its standard error.
    #[must_use]
    pub fn standard_error(&self) -> Option<OwnedFd> {
        let (_, held) = self.0.first()?;
        take_from(held.as_fd(), libc::STDERR_FILENO).ok()
    }

    fn live(&self) -> bool {
        self.0.iter().any(|(number, _)| self.has(*number))
    }
}

impl Missing {
    /// Something that these meant to make is not at its name.
    pub fn note(&self, makers: Arc<Makers>, name: &[u8]) {
        let mut all = self.all();
        all.retain(|(makers, _)| makers.live());
        if all.len() >= KEPT_MAX {
            all.remove(0);
        }
        all.push((makers, name.to_vec()));
        self.count.store(all.len(), Ordering::Release);
    }

    /// Whether there is something that this process meant to make.
    #[must_use]
    pub fn lacks(&self, process: i32) -> bool {
        self.all().iter().any(|(makers, _)| makers.has(process))
    }

    /// The names of what this process meant to make. They are forgotten.
    #[must_use]
    pub fn take(&self, process: i32) -> Vec<Vec<u8>> {
        let mut all = self.all();
        let (its, others) = std::mem::take(&mut *all).into_iter().partition(|(makers, _)| makers.has(process));
        *all = others;
        self.count.store(all.len(), Ordering::Release);
        its.into_iter().map(|(_, name)| name).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<(Arc<Makers>, Vec<u8>)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
