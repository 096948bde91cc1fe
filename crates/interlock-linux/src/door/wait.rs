//! Waiting on behalf of a caller: where a call may block while other receivers go on.

use super::errand::Errand;
use super::restart;
use super::seen::caller::Stop;
use crate::sys::errno::{Errno, Sys};
use crate::sys::threads;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a blocking act looks for a signal that natively would have ended it.
const SIGNAL_CHECK: Duration = Duration::from_millis(20);

impl Errand<'_> {
    /// Does what may block (a FIFO's other end, a terminal) while other receivers go on.
    ///
    /// A signal with a handler ends the wait as it would natively; so does the caller's death.
    pub fn blocking<T>(&self, act: impl FnMut() -> Sys<T>) -> Result<T, Stop> {
        let _room = self.session.room_to_block(self.call).map_err(|_exhausted| Errno(libc::EAGAIN))?;
        self.interruptible(act)
    }

    fn interruptible<T>(&self, mut act: impl FnMut() -> Sys<T>) -> Result<T, Stop> {
        let (over, thread, caller) = (AtomicBool::new(false), threads::id(), self.caller);
        let watch = || {
            while !over.load(Ordering::Acquire) {
                std::thread::park_timeout(SIGNAL_CHECK);
                if !over.load(Ordering::Acquire) && (!caller.waits() || restart::is_due(&caller)) {
                    threads::interrupt(thread);
                }
            }
        };
        std::thread::scope(|scope| {
            let watcher = std::thread::Builder::new().name("watch".into()).spawn_scoped(scope, watch);
            let Ok(watcher) = watcher else { return Err(Errno(libc::EAGAIN).into()) };
            let result = loop {
                match act() {
                    Err(Errno(libc::EINTR)) if !caller.waits() => break Err(Stop::Gone),
                    Err(Errno(libc::EINTR)) if restart::is_due(&caller) => break Err(Stop::Interrupted),
                    Err(Errno(libc::EINTR)) => {}
                    result => break result.map_err(Stop::from),
                }
            };
            over.store(true, Ordering::Release);
            watcher.thread().unpark();
            result
        })
    }
}
