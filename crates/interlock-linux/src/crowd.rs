//! Whether several threads call or one alone, so that a thread that calls alone does not pay for looks at a queue that nobody else is in.
//!
//! A guess from the last calls: two receivers that note theirs at once may lose one of both, which costs a look or a signal's interruption.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Calls of one thread in a row after which it counts as alone.
const ALONE_AFTER: u32 = 8;

/// Who has called lately.
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
mod tests {
    use super::*;

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
