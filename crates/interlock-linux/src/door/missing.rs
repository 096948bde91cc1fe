//! What processes meant to have put somewhere and is not there: refused at its name, or after it was written, where only content of before may stand
//! (`file::copy`). Kept until its maker is told (`file::index`), begins anew, or is gone.
//!
//! A process is known by a descriptor of it: a number alone becomes somebody else's. Left out: who is told, and how.

use super::seen::caller::{Caller, Stop};
use crate::sys::descriptors::{take_from, wait_readable};
use crate::sys::process;
use interlock_abi::status::state_and_parent;
use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names kept, of all processes. The oldest of whoever has most goes first, so that nobody's are all forgotten for somebody else's.
const KEPT_MAX: usize = 256;

/// The process that makes a file, and the one that may have it made on its behalf.
#[derive(Default)]
pub struct Makers(Vec<(i32, OwnedFd)>);

/// All that is missing.
#[derive(Default)]
pub struct Missing {
    /// How much it is: asked by every call that could end something, of the field itself.
    pub count: AtomicUsize,
    all: Mutex<Vec<(Arc<Makers>, Vec<u8>)>>,
    /// Somebody's only name was forgotten: until nobody lacks anything, whoever is asked about may be the one.
    forgotten: AtomicBool,
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
            let (crowded, names) = most_named(&all);
            self.forgotten.fetch_or(names <= 1, Ordering::AcqRel);
            all.remove(crowded);
        }
        all.push((makers, name.to_vec()));
        self.count.store(all.len(), Ordering::Release);
    }

    /// Whether there is something that this process meant to make.
    #[must_use]
    pub fn lacks(&self, process: i32) -> bool {
        let mut all = self.all();
        if self.forgotten.load(Ordering::Acquire) {
            all.retain(|(makers, _)| makers.live());
            self.forgotten.store(!all.is_empty(), Ordering::Release);
        }
        self.forgotten.load(Ordering::Acquire) || all.iter().any(|(makers, _)| makers.has(process))
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

/// Where the oldest name of a maker with most of them stands, and how many those are.
fn most_named(all: &[(Arc<Makers>, Vec<u8>)]) -> (usize, usize) {
    let number = |makers: &Arc<Makers>| makers.0.first().map(|(number, _)| *number);
    let mut counted: HashMap<Option<i32>, usize> = HashMap::new();
    for (makers, _) in all {
        *counted.entry(number(makers)).or_default() += 1;
    }
    let (most, names) = counted.into_iter().max_by_key(|(_, names)| *names).unwrap_or((None, 0));
    (all.iter().position(|(makers, _)| number(makers) == most).unwrap_or(0), names)
}
