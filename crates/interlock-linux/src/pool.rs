//! How many receivers there are: enough that one always waits, however many block.
//!
//! INVARIANT: a receiver blocks only after another stands in for it, and at most [`BLOCKED_MAX`] + [`BRIEF_MAX`] do, so a call is always received.
//! What holds a receiver unforeseen (a caller that gets no processor time to take its file, one whose memory its other threads lock) is seen
//! by the clock: where none has finished a call between two looks, another helps for a while, up to [`HELPERS_MAX`].

use crate::sys::threads;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls that may block at one time for as long as they like.
pub const BLOCKED_MAX: usize = 256;
/// Calls besides that block for a moment (an exec until it commits), so that blocked opens do not keep programs from starting.
pub const BRIEF_MAX: usize = 64;
/// Receivers that stay when nothing blocks. Measured: with three a serial caller and its answers stay on one processor (20 µs an open); with one
/// or two, four or five, each answer moves the caller to another (27 to 75 µs).
const RECEIVERS: usize = 3;
/// Receivers besides those, while callers hold them up.
const HELPERS_MAX: usize = 64;
/// Looks in a row with a receiver to spare after which a helper goes.
const CALM_LOOKS: u32 = 50;

/// As many calls block as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

#[derive(Default)]
struct Counts {
    alive: usize,
    wanted: usize,
    helpers: usize,
    finished_before: u64,
    calm: u32,
    blocked: HashMap<i32, u64>,
}

impl Counts {
    /// Whether one more is wanted now. Help goes slowly: who holds a receiver up does so again.
    fn is_short(&mut self, busy: usize, finished: u64) -> bool {
        let none_finished = std::mem::replace(&mut self.finished_before, finished) == finished;
        let spare = busy + 1 < self.alive;
        self.calm = if spare && self.helpers > 0 { self.calm + 1 } else { 0 };
        if self.calm >= CALM_LOOKS {
            (self.calm, self.helpers) = (0, self.helpers - 1);
        }
        let short = none_finished && busy > 0 && busy >= self.alive && self.helpers < HELPERS_MAX;
        self.helpers += usize::from(short);
        short
    }

    fn needed(&self) -> usize {
        self.wanted + self.helpers + self.blocked.len()
    }
}

/// The count of receivers, and which of them block on whose behalf.
pub struct Pool {
    counts: Mutex<Counts>,
    finished: AtomicU64,
    spawn: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Pool {
    /// `spawn` starts one receiver and says whether it could.
    #[must_use]
    pub fn new(spawn: Box<dyn Fn() -> bool + Send + Sync>) -> Self {
        Self { counts: Mutex::new(Counts { wanted: RECEIVERS, ..Counts::default() }), finished: AtomicU64::new(0), spawn }
    }

    /// Starts the receivers that stay.
    #[must_use]
    pub fn start(&self) -> bool {
        (0..RECEIVERS).all(|_| self.add())
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

    /// Said by a receiver after each call.
    pub fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks whether all receivers were held up since the last look, `busy` of them serving a call now, and helps out or takes help back.
    pub fn relieve(&self, busy: usize) {
        let finished = self.finished.load(Ordering::Relaxed);
        // Without a thread for it, the others go on as they can.
        let _helped = self.counts().is_short(busy, finished) && self.add();
    }

    /// Asked by a receiver between calls: whether it is one too many and ends now.
    #[must_use]
    pub fn leaves(&self) -> bool {
        let mut counts = self.counts();
        let surplus = counts.alive > counts.needed();
        if surplus {
            counts.alive -= 1;
        }
        surplus
    }

    /// Another receiver takes the place of this thread, which may block on behalf of `call` until the value is dropped.
    ///
    /// # Errors
    /// [`Exhausted`]: so many block already.
    pub fn block(&self, call: u64, at_most: usize) -> Result<Blocked<'_>, Exhausted> {
        let thread = threads::id();
        let short = {
            let mut counts = self.counts();
            if counts.blocked.len() >= at_most {
                return Err(Exhausted);
            }
            counts.blocked.insert(thread, call);
            counts.alive < counts.needed()
        };
        let blocked = Blocked { pool: self, thread };
        if short && !self.add() { Err(Exhausted) } else { Ok(blocked) }
    }

    /// The calls on whose behalf a thread blocks: (thread, call).
    #[must_use]
    pub fn blocked(&self) -> Vec<(i32, u64)> {
        self.counts().blocked.iter().map(|(thread, call)| (*thread, *call)).collect()
    }
}

/// A thread that may block.
pub struct Blocked<'a> {
    pool: &'a Pool,
    thread: i32,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.pool.counts().blocked.remove(&self.thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (Pool, usize) {
        let pool = Pool::new(Box::new(|| true));
        assert!(pool.start());
        let own = pool.counts().alive;
        (pool, own)
    }

    #[test]
    fn held_up_receivers_are_helped_and_the_help_goes_again() {
        let (pool, own) = pool();
        pool.finished();
        pool.relieve(own);
        assert_eq!(pool.counts().alive, own, "one has finished a call since");
        for _ in 0..HELPERS_MAX + 5 {
            let all = pool.counts().alive;
            pool.relieve(all);
        }
        assert_eq!(pool.counts().alive, own + HELPERS_MAX);
        for _ in 0..CALM_LOOKS as usize * HELPERS_MAX {
            pool.relieve(0);
            let _left = pool.leaves();
        }
        assert_eq!(pool.counts().alive, own);
    }

    #[test]
    fn receivers_to_spare_need_no_help() {
        let (pool, own) = pool();
        for busy in [0, own - 1, 0, own - 1] {
            pool.relieve(busy);
        }
        assert_eq!(pool.counts().alive, own);
    }
}
