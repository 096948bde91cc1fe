//! Which receiver waits for the next call. The kernel wakes every thread that waits on a listener for each call there is (its waiters are not
//! exclusive), so that with three of them two wake up for nothing: more than the whole rest of a read-only open costs. Hence one waits there,
//! and the others here.
//!
//! Who received a call that is soon answered keeps its turn: nobody is woken. Before anything that may last, and when calls are found waiting,
//! the turn goes to the next. A holder that is long over its call (a slow file system) is passed over by [`Gate::pass_over`].
//! INVARIANT: nothing but time depends on the turn. A call is received once, whoever waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A call that came quicker was waiting already.
const AT_ONCE: Duration = Duration::from_micros(2);
/// That many in a row, and the receivers are too few.
const AT_ONCE_IN_A_ROW: u32 = 2;

#[derive(Default)]
struct Turn {
    holder: Option<i32>,
    parked: usize,
}

/// The one place at the listener.
#[derive(Default)]
pub struct Gate {
    turn: Mutex<Turn>,
    free: Condvar,
    waiting: AtomicBool,
    received: AtomicU64,
}

/// How a thread's calls came lately.
#[derive(Default)]
pub struct Pace(u32);

impl Pace {
    /// Whether calls wait for receivers.
    pub fn is_behind(&mut self, took: Duration) -> bool {
        self.0 = if took < AT_ONCE { self.0.saturating_add(1) } else { 0 };
        self.0 >= AT_ONCE_IN_A_ROW
    }
}

impl Gate {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of `thread`, does `receive`, and says how long that took. The turn is kept.
    pub fn receive<T>(&self, thread: i32, receive: impl FnOnce() -> T) -> (T, Duration) {
        let mut turn = self.turn();
        while turn.holder.is_some_and(|holder| holder != thread) {
            turn.parked += 1;
            turn = self.free.wait(turn).unwrap_or_else(PoisonError::into_inner);
            turn.parked -= 1;
        }
        turn.holder = Some(thread);
        self.waiting.store(true, Ordering::Release);
        drop(turn);
        let begun = Instant::now();
        let received = receive();
        let took = begun.elapsed();
        self.waiting.store(false, Ordering::Release);
        self.received.fetch_add(1, Ordering::AcqRel);
        (received, took)
    }

    /// Gives the turn of `thread` to the next, if it has it.
    pub fn leave(&self, thread: i32) {
        let mut turn = self.turn();
        if turn.holder == Some(thread) {
            self.free_turn(&mut turn);
        }
    }

    fn free_turn(&self, turn: &mut Turn) {
        turn.holder = None;
        if turn.parked > 0 {
            self.free.notify_one();
        }
    }

    /// Asked from time to time: takes the turn from a holder that has answered one call ever since. `seen` is the asker's to keep.
    pub fn pass_over(&self, seen: &mut u64) {
        let received = self.received.load(Ordering::Acquire);
        if *seen == received && !self.waiting.load(Ordering::Acquire) {
            let mut turn = self.turn();
            // Under the lock nobody can begin to wait.
            if !self.waiting.load(Ordering::Acquire) && turn.holder.is_some() {
                self.free_turn(&mut turn);
            }
        }
        *seen = received;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    #[test]
    fn one_waits_and_the_next_takes_its_place() {
        let gate = Arc::new(Gate::default());
        let _first = gate.receive(1, || ());
        let (done, heard) = channel();
        let theirs = Arc::clone(&gate);
        let second = std::thread::spawn(move || {
            let _second = theirs.receive(2, || ());
            done.send(()).unwrap();
        });
        assert!(heard.recv_timeout(Duration::from_millis(100)).is_err());
        // Its own turn it has at once, and what is not its own it cannot give away.
        let _again = gate.receive(1, || ());
        gate.leave(2);
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        gate.leave(1);
        heard.recv_timeout(Duration::from_secs(5)).unwrap();
        second.join().unwrap();
    }

    #[test]
    fn a_holder_that_takes_long_is_passed_over_and_one_that_waits_is_not() {
        let gate = Arc::new(Gate::default());
        let mut seen = 0;
        let _slow = gate.receive(1, || ());
        gate.pass_over(&mut seen);
        gate.pass_over(&mut seen);
        let _other = gate.receive(2, || {
            gate.pass_over(&mut seen);
            gate.pass_over(&mut seen);
            assert_eq!(gate.turn().holder, Some(2));
        });
    }

    #[test]
    fn a_pace_falls_behind_by_calls_that_waited() {
        let mut pace = Pace::default();
        assert!(!pace.is_behind(Duration::ZERO) && pace.is_behind(Duration::ZERO));
        assert!(!pace.is_behind(Duration::from_millis(1)) && !pace.is_behind(Duration::ZERO));
    }
}
