//! Files on their way into their callers: for a moment the supervisor still holds what the caller has by then, and may have closed again.
//!
//! Until it lets go, a lock (flock(2)) is not released, a FIFO seems to have its other end, a program is being written (ETXTBSY). So whoever opens
//! or runs the same object next waits for that. Only files opened for writing or made, and FIFOs, are noted: plain reading costs nothing.
//! Left out: a second descriptor that was open before, whose lock may still be refused for that moment.

use interlock_core::action::Inode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest that anybody waits; then it goes on as if the other were done.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// What is being handed over, by the call it answers.
#[derive(Default)]
pub struct Handovers {
    /// How many there are: with none, nobody waits.
    pub(crate) count: AtomicUsize,
    open: Mutex<Vec<(u64, Inode)>>,
    ended: Condvar,
}

impl Handovers {
    /// Notes that the answer to `call` carries `object`, until the value is dropped.
    pub fn begin(&self, call: u64, object: Inode) -> Handover<'_> {
        self.open().push((call, object));
        self.count.fetch_add(1, Ordering::AcqRel);
        Handover { all: self, call }
    }

    /// The supervisor holds nothing of `call` any more.
    fn end(&self, call: u64) {
        let mut open = self.open();
        if let Some(at) = open.iter().position(|(own, _)| *own == call) {
            open.swap_remove(at);
            self.count.fetch_sub(1, Ordering::AcqRel);
            self.ended.notify_all();
        }
    }

    /// Waits until nobody else's answer carries `object`.
    pub fn settle(&self, object: Inode) {
        if self.count.load(Ordering::Acquire) > 0 {
            let carried = |open: &mut Vec<(u64, Inode)>| open.iter().any(|(_, carried)| *carried == object);
            let _waited = self.ended.wait_timeout_while(self.open(), WAIT_MAX, carried).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<(u64, Inode)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One file on its way. The supervisor has let go of it when this is dropped.
pub struct Handover<'a> {
    all: &'a Handovers,
    call: u64,
}

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        self.all.end(self.call);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::time::Instant;

    const OBJECT: Inode = Inode { device: 1, number: 2 };

    #[test]
    fn the_same_object_is_waited_for_and_no_other() {
        let handovers = Handovers::default();
        let (other, own) = (handovers.begin(8, Inode { device: 1, number: 4 }), handovers.begin(7, OBJECT));
        let begun = Instant::now();
        handovers.settle(Inode { device: 1, number: 3 });
        assert!(begun.elapsed() < WAIT_MAX / 2);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| handovers.settle(OBJECT));
            drop(other);
            std::thread::sleep(WAIT_MAX / 10);
            assert!(!waits.is_finished());
            drop(own);
            waits.join().unwrap();
        });
        assert_eq!(handovers.count.load(Ordering::Acquire), 0);
    }

    #[test]
    fn nobody_waits_for_ever() {
        let handovers = Handovers::default();
        let own = handovers.begin(7, OBJECT);
        handovers.settle(OBJECT);
        drop(own);
        assert_eq!(handovers.count.load(Ordering::Acquire), 0);
    }
}
