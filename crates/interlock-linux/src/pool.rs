//! How many receivers there are: enough that one always waits, however many block.
//!
//! INVARIANT: a receiver blocks only after another stands in for it, and at most [`BLOCKED_MAX`] + [`BRIEF_MAX`] do, so a call is always received.

use crate::sys::threads;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls that may block at one time for as long as they like.
pub const BLOCKED_MAX: usize = 256;
/// Calls besides that block for a moment (an exec until it commits), so that blocked opens do not keep programs from starting.
pub const BRIEF_MAX: usize = 64;
/// Receivers that stay when nothing blocks, at least and at most: one for each processor in between.
const RECEIVERS: (usize, usize) = (2, 8);

/// As many calls block as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

#[derive(Default)]
struct Counts {
    alive: usize,
    wanted: usize,
    blocked: HashMap<i32, u64>,
}

/// The count of receivers, and which of them block on whose behalf.
pub struct Pool {
    counts: Mutex<Counts>,
    spawn: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Pool {
    /// `spawn` starts one receiver and says whether it could.
    #[must_use]
    pub fn new(spawn: Box<dyn Fn() -> bool + Send + Sync>) -> Self {
        let (least, most) = RECEIVERS;
        let wanted = std::thread::available_parallelism().map_or(least, |processors| processors.get().clamp(least, most));
        Self { counts: Mutex::new(Counts { wanted, ..Counts::default() }), spawn }
    }

    /// Starts the receivers that stay.
    #[must_use]
    pub fn start(&self) -> bool {
        let wanted = self.counts().wanted;
        (0..wanted).all(|_| self.add())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) -> bool {
        self.counts().alive += 1;
        let started = (self.spawn)();
        if !started {
            self.counts().alive -= 1;
        }
        started
    }

    /// Asked by a receiver between calls: whether it is one too many and ends now.
    #[must_use]
    pub fn leaves(&self) -> bool {
        let mut counts = self.counts();
        let surplus = counts.alive > counts.wanted + counts.blocked.len();
        if surplus {
            counts.alive -= 1;
        }
        surplus
    }

    /// Runs `act` on this thread while another receiver takes its place.
    ///
    /// # Errors
    /// [`Exhausted`], and nothing was run.
    pub fn blocking<T>(&self, call: u64, at_most: usize, act: impl FnOnce() -> T) -> Result<T, Exhausted> {
        let thread = threads::id();
        let short = {
            let mut counts = self.counts();
            if counts.blocked.len() >= at_most {
                return Err(Exhausted);
            }
            counts.blocked.insert(thread, call);
            counts.alive < counts.wanted + counts.blocked.len()
        };
        let _blocked = Blocked { pool: self, thread };
        if short && !self.add() {
            return Err(Exhausted);
        }
        Ok(act())
    }

    /// The calls on whose behalf a thread blocks: (thread, call).
    #[must_use]
    pub fn blocked(&self) -> Vec<(i32, u64)> {
        self.counts().blocked.iter().map(|(thread, call)| (*thread, *call)).collect()
    }
}

struct Blocked<'a> {
    pool: &'a Pool,
    thread: i32,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.pool.counts().blocked.remove(&self.thread);
    }
}
