//! Calls received and not served yet. A call that nobody has received can be ended by a signal (EINTR, where the handler was set without
//! SA_RESTART); a received one cannot. So receivers take what is pending before they serve, and what they take waits here.
//!
//! INVARIANT: while a call waits here, a thread that is not asleep will look here. A receiver that put a call in looks again before it sleeps. If
//! another receiver is quicker with the call that it saw at the listener, the receiver sleeps there, and the quicker one looks here after its own
//! call. A thread that is about to block or to end makes sure that another is awake ([`Backlog::attend`], `pool`), and the clock looks too.
//! Calls are served in the order of their receipt, and each caller's thread has one at most, so none can put itself before another.
//! A thread that calls alone does not pay for looks at a queue that nobody else is in ([`Crowd`]).
//! Left out: whether a caller still waits, which is asked when its call is served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Calls that wait here, and one more of each receiver; what comes then waits unreceived, in the kernel.
pub const WAITING_MAX: usize = 256;
/// So many waiting besides the one that its receiver serves next are helped with.
const HELPED_FROM: usize = 2;

struct State<C> {
    calls: VecDeque<C>,
    /// Helpers asleep, how many of them are to wake, and whether all are to end.
    asleep: usize,
    called: usize,
    over: bool,
}

/// The waiting calls, and whoever helps with them.
pub struct Backlog<C> {
    state: Mutex<State<C>>,
    come: Condvar,
    length: AtomicUsize,
}

impl<C> Default for Backlog<C> {
    fn default() -> Self {
        let state = State { calls: VecDeque::new(), asleep: 0, called: 0, over: false };
        Self { state: Mutex::new(state), come: Condvar::new(), length: AtomicUsize::new(0) }
    }
}

impl<C> Backlog<C> {
    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no more is received before some are served.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= WAITING_MAX
    }

    /// Puts in a call just received. Where several wait, a helper wakes.
    pub fn put(&self, call: C) {
        let mut state = self.state();
        state.calls.push_back(call);
        self.length.store(state.calls.len(), Ordering::Release);
        if state.calls.len() > HELPED_FROM {
            self.wake(&mut state);
        }
    }

    /// The call that has waited longest.
    pub fn take(&self) -> Option<C> {
        let mut state = self.state();
        let call = state.calls.pop_front();
        self.length.store(state.calls.len(), Ordering::Release);
        call
    }

    fn wake(&self, state: &mut State<C>) -> bool {
        let wakes = state.asleep > state.called;
        if wakes {
            state.called += 1;
            self.come.notify_one();
        }
        wakes
    }

    /// Calls a helper if something waits. Whether nothing does, or the helper was asleep and now is not.
    #[must_use]
    pub fn attend(&self) -> bool {
        let mut state = self.state();
        state.calls.is_empty() || self.wake(&mut state)
    }

    /// Sleeps until help is wanted; `false` when there will be nothing more to help with.
    pub fn helps(&self) -> bool {
        let mut state = self.state();
        state.asleep += 1;
        while state.called == 0 && !state.over {
            state = self.come.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep -= 1;
        state.called = state.called.saturating_sub(1);
        !state.over
    }

    /// Nothing more comes: no filtered task is left, or the listener failed.
    pub fn end(&self) {
        self.state().over = true;
        self.come.notify_all();
    }
}

/// Calls of one thread in a row after which it counts as alone.
const ALONE_AFTER: u32 = 8;

/// Who has called lately: a guess from the last calls. Two receivers that note theirs at once may lose one of both, which costs a look or a signal's
/// interruption.
#[derive(Default)]
pub struct Crowd {
    last: AtomicI32,
    repeated: AtomicU32,
}

impl Crowd {
    /// Notes a call of `thread`. Whether another thread has called shortly before.
    pub fn is_seen_with(&self, thread: i32) -> bool {
        let repeated = self.repeated.load(Ordering::Relaxed);
        if self.last.load(Ordering::Relaxed) != thread {
            self.last.store(thread, Ordering::Relaxed);
            self.repeated.store(0, Ordering::Relaxed);
            return true;
        }
        if repeated < ALONE_AFTER {
            self.repeated.store(repeated + 1, Ordering::Relaxed);
        }
        repeated < ALONE_AFTER
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_taken_once_in_its_order() {
        let backlog = Backlog::default();
        (0..5).for_each(|call| backlog.put(call));
        assert_eq!(backlog.len(), 5);
        let taken: Vec<u64> = std::iter::from_fn(|| backlog.take()).collect();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        assert!(backlog.is_empty() && backlog.attend());
    }

    #[test]
    fn what_waits_is_unattended_where_nobody_sleeps() {
        let backlog = Backlog::default();
        backlog.put(0);
        assert!(!backlog.attend());
    }

    #[test]
    fn a_sleeping_helper_is_called_for_several_and_for_one_that_is_left_alone() {
        for (waiting, left_alone) in [(HELPED_FROM + 1, false), (1, true)] {
            let backlog = Backlog::default();
            std::thread::scope(|scope| {
                let helper = scope.spawn(|| backlog.helps() && backlog.take().is_some());
                while backlog.state().asleep == 0 {
                    std::thread::yield_now();
                }
                (0..waiting).for_each(|call| backlog.put(call));
                assert!(!left_alone || backlog.attend());
                assert!(helper.join().unwrap());
            });
        }
    }

    #[test]
    fn helpers_end() {
        let backlog: Backlog<()> = Backlog::default();
        std::thread::scope(|scope| {
            let helper = scope.spawn(|| backlog.helps());
            backlog.end();
            assert!(!helper.join().unwrap());
        });
    }

    #[test]
    fn a_thread_is_alone_after_some_calls_and_not_when_another_calls() {
        let crowd = Crowd::default();
        let calls = |thread, times| (0..times).map(|_| crowd.is_seen_with(thread)).collect::<Vec<_>>();
        assert!(calls(7, ALONE_AFTER + 1).iter().all(|seen| *seen));
        assert!(!calls(7, 100).iter().any(|seen| *seen));
        assert!(calls(8, ALONE_AFTER + 1).iter().all(|seen| *seen));
        assert_eq!(calls(8, 1), [false]);
        assert!((0..100).all(|turn| crowd.is_seen_with(turn % 2)));
    }
}
