//! How many receivers there are: enough that one always waits, however many block.
//!
//! INVARIANT: a receiver blocks only after another stands in for it, and at most [`BLOCKED_MAX`] + [`BRIEF_MAX`] do, so a call is always received;
//! and the last thread that is awake neither blocks nor ends while the backlog holds a call, unless another is awake by then.
//! What holds a receiver unforeseen (a caller that gets no processor time to take its file, one whose memory its other threads lock) is seen
//! by the clock: where none has finished a call between two looks, another helps for a while, up to [`HELPERS_MAX`].
//! What is received and not served yet is the backlog's; besides the receivers one thread only helps with that.

use super::backlog::{Backlog, Crowd};
use crate::sys::threads;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    /// Whether one more is wanted now: all are held up, or calls wait whose receivers are. Help goes slowly: who holds a receiver up does so
    /// again.
    fn is_short(&mut self, busy: usize, finished: u64, attended: bool) -> bool {
        let none_finished = std::mem::replace(&mut self.finished_before, finished) == finished;
        let spare = busy + 1 < self.alive;
        self.calm = if spare && self.helpers > 0 { self.calm + 1 } else { 0 };
        if self.calm >= CALM_LOOKS {
            (self.calm, self.helpers) = (0, self.helpers - 1);
        }
        let held_up = !attended || (busy > 0 && busy >= self.alive);
        let short = none_finished && held_up && self.helpers < HELPERS_MAX;
        self.helpers += usize::from(short);
        short
    }

    fn needed(&self) -> usize {
        self.wanted + self.helpers + self.blocked.len()
    }
}

/// The count of receivers, which of them block on whose behalf, and the calls (`C`) that wait for them.
pub struct Pool<C> {
    counts: Mutex<Counts>,
    /// Threads that serve a call, those that block among them.
    busy: AtomicUsize,
    finished: AtomicU64,
    /// Calls received and not served yet.
    pub backlog: Backlog<C>,
    /// Whether one thread calls, or several.
    pub crowd: Crowd,
    spawn: Box<dyn Fn() -> bool + Send + Sync>,
}

impl<C> Pool<C> {
    /// `spawn` starts one receiver and says whether it could.
    #[must_use]
    pub fn new(spawn: Box<dyn Fn() -> bool + Send + Sync>) -> Self {
        Self {
            counts: Mutex::new(Counts { wanted: RECEIVERS, ..Counts::default() }),
            busy: AtomicUsize::new(0),
            finished: AtomicU64::new(0),
            backlog: Backlog::default(),
            crowd: Crowd::default(),
            spawn,
        }
    }

    /// Starts the receivers that stay.
    #[must_use]
    pub fn start(&self) -> bool {
        (0..RECEIVERS).all(|_| self.add())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        locked(&self.counts)
    }

    fn add(&self) -> bool {
        self.counts().alive += 1;
        let started = (self.spawn)();
        if !started {
            self.counts().alive -= 1;
        }
        started
    }

    /// Held by a thread from before it takes a call until it has served it; afterwards it looks into the backlog again.
    pub fn serving(&self) -> Serving<'_> {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Serving { busy: &self.busy, finished: &self.finished }
    }

    /// Whether no call waits or is served.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        // In this order: who takes a call out of the backlog is busy before that.
        self.backlog.is_empty() && self.busy.load(Ordering::SeqCst) == 0
    }

    /// How many threads serve a call and do not block.
    fn awake(&self, counts: &Counts) -> usize {
        self.busy.load(Ordering::SeqCst).saturating_sub(counts.blocked.len())
    }

    /// Looks whether all receivers were held up since the last look, and helps out or takes help back.
    pub fn relieve(&self) {
        let (busy, finished) = (self.busy.load(Ordering::SeqCst), self.finished.load(Ordering::Relaxed));
        let attended = self.backlog.attend();
        // Without a thread for it, the others go on as they can.
        let _helped = self.counts().is_short(busy, finished, attended) && self.add();
    }

    /// Asked by a receiver between calls: whether it is one too many and ends now.
    #[must_use]
    pub fn leaves(&self) -> bool {
        let mut counts = self.counts();
        let surplus = counts.alive > counts.needed() && (self.backlog.is_empty() || self.awake(&counts) > 0);
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
            // Of threads that come here together, the last finds nobody else awake.
            let attended = self.backlog.attend() || self.awake(&counts) > 0;
            !attended || counts.alive < counts.needed()
        };
        let blocked = Blocked { counts: &self.counts, thread };
        if short && !self.add() { Err(Exhausted) } else { Ok(blocked) }
    }

    /// The calls on whose behalf a thread blocks: (thread, call).
    #[must_use]
    pub fn blocked(&self) -> Vec<(i32, u64)> {
        self.counts().blocked.iter().map(|(thread, call)| (*thread, *call)).collect()
    }
}

fn locked(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that serves a call.
#[must_use]
pub struct Serving<'a> {
    busy: &'a AtomicUsize,
    finished: &'a AtomicU64,
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A thread that may block.
pub struct Blocked<'a> {
    counts: &'a Mutex<Counts>,
    thread: i32,
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        locked(self.counts).blocked.remove(&self.thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> (Pool<()>, usize) {
        let pool = Pool::new(Box::new(|| true));
        assert!(pool.start());
        let own = pool.counts().alive;
        (pool, own)
    }

    #[test]
    fn held_up_receivers_are_helped_and_the_help_goes_again() {
        let (pool, own) = pool();
        let mut serving: Vec<Serving<'_>> = (0..own).map(|_| pool.serving()).collect();
        drop(pool.serving());
        pool.relieve();
        assert_eq!(pool.counts().alive, own, "one has finished a call since");
        for _ in 0..HELPERS_MAX + 5 {
            pool.relieve();
            serving.push(pool.serving());
        }
        assert_eq!(pool.counts().alive, own + HELPERS_MAX);
        drop(serving);
        for _ in 0..CALM_LOOKS as usize * HELPERS_MAX {
            pool.relieve();
            let _left = pool.leaves();
        }
        assert_eq!(pool.counts().alive, own);
    }

    #[test]
    fn who_blocks_has_a_stand_in_for_as_long() {
        let (pool, own) = pool();
        let _serving = pool.serving();
        let blocked = pool.block(1, BLOCKED_MAX);
        assert_eq!(pool.counts().alive, own + 1);
        assert!(blocked.is_ok() && !pool.leaves());
        drop(blocked);
        assert!(pool.leaves() && !pool.leaves());
    }

    #[test]
    fn the_last_that_is_awake_does_not_leave_a_waiting_call_behind() {
        let (pool, own) = pool();
        pool.counts().alive += 1; // one to spare: it sleeps at the listener and will not look
        pool.backlog.put(());
        assert!(!pool.leaves(), "nobody else would look");
        let last = pool.serving();
        drop(pool.block(1, BLOCKED_MAX));
        assert_eq!(pool.counts().alive, own + 2);
        let other = pool.serving();
        drop(pool.block(2, BLOCKED_MAX));
        assert_eq!(pool.counts().alive, own + 2, "the other looks when it has served");
        assert!(pool.leaves(), "the others look");
        drop((last, other));
        assert!(!pool.leaves() && pool.backlog.take().is_some() && pool.leaves());
    }

    #[test]
    fn of_all_that_block_while_a_call_waits_one_finds_nobody_awake() {
        let (pool, own) = pool();
        pool.counts().alive += 1000;
        pool.backlog.put(());
        let all = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (pool, all) = (&pool, &all);
                scope.spawn(move || {
                    let _serving = pool.serving();
                    all.wait();
                    let blocked = pool.block(number, BLOCKED_MAX);
                    all.wait();
                    assert!(blocked.is_ok());
                });
            }
        });
        assert_eq!(pool.counts().alive, own + 1001);
    }

    #[test]
    fn calls_that_wait_behind_what_is_held_up_are_helped() {
        let (pool, own) = pool();
        pool.backlog.put(());
        drop(pool.serving());
        pool.relieve();
        assert_eq!(pool.counts().alive, own, "one has finished a call since");
        pool.relieve();
        assert_eq!(pool.counts().alive, own + 1);
    }

    #[test]
    fn receivers_to_spare_need_no_help() {
        let (pool, own) = pool();
        for busy in [0, own - 1, 0, own - 1] {
            let _serving: Vec<Serving<'_>> = (0..busy).map(|_| pool.serving()).collect();
            pool.relieve();
        }
        assert_eq!(pool.counts().alive, own);
    }

    #[test]
    fn it_is_quiet_only_when_nothing_waits_or_is_served() {
        let (pool, _) = pool();
        pool.backlog.put(());
        assert!(!pool.is_quiet());
        let serving = pool.serving();
        assert!(pool.backlog.take().is_some() && !pool.is_quiet());
        drop(serving);
        assert!(pool.is_quiet());
    }
}
