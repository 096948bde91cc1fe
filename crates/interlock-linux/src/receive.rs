//! Receiving calls and sending answers: one loop a thread, each answering what it received.
//!
//! INVARIANT: a call received is answered once. What the door's code does to a thread (a panic included) ends in EACCES, recorded.

use crate::answer::{Answer, Call};
use crate::door;
use crate::line::Unforeseen;
use crate::session::Session;
use crate::sys::{self, notify};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// Receives until no filtered task is left, or the pool has one receiver too many.
pub fn run(session: &Session) {
    loop {
        match notify::receive(session.listener.as_fd()) {
            Ok(Some(call)) => {
                session.busy.fetch_add(1, Ordering::AcqRel);
                serve(&call, session);
                session.busy.fetch_sub(1, Ordering::AcqRel);
                session.pool.finished();
            }
            Ok(None) if notify::deserted(session.listener.as_fd()) => return,
            Ok(None) => {}
            Err(error) => return session.line.poison(&format!("the listener failed: {error}")),
        }
        if session.pool.leaves() {
            return;
        }
    }
}

fn serve(call: &Call, session: &Session) {
    let pending = Pending { listener: session.listener.as_fd(), id: call.id, open: true };
    let answer = catch_unwind(AssertUnwindSafe(|| door::answer(call, session))).unwrap_or_else(|_| {
        session.line.unforeseen(call, Unforeseen::Panic);
        Answer::Errno(libc::EACCES)
    });
    if let Err(error) = pending.send(answer) {
        // ENOENT: the caller died while it was answered. What was done for it stays done and recorded.
        if sys::errno(&error) != libc::ENOENT {
            session.line.unforeseen(call, Unforeseen::Unanswerable(sys::errno(&error)));
        }
    }
    session.handovers.end(call.id);
}

/// A call not answered yet. Dropped so, it is answered EACCES.
struct Pending<'a> {
    listener: BorrowedFd<'a>,
    id: u64,
    open: bool,
}

impl Pending<'_> {
    fn send(mut self, answer: Answer) -> std::io::Result<()> {
        let sent = match answer {
            Answer::Value(value) => notify::reply(self.listener, self.id, value, 0),
            Answer::Errno(errno) => notify::reply(self.listener, self.id, 0, errno),
            Answer::Continue(_proof) => notify::go_on(self.listener, self.id),
            Answer::Settled => Ok(()),
            Answer::Inject { file, close_on_exec } => self.inject(file.as_fd(), close_on_exec),
        };
        self.open = sent.is_err();
        sent
    }

    /// A full descriptor table is the caller's own matter: it hears the kernel's errno.
    fn inject(&self, file: BorrowedFd<'_>, close_on_exec: bool) -> std::io::Result<()> {
        match notify::inject(self.listener, self.id, file, close_on_exec) {
            Err(error) if sys::errno(&error) != libc::ENOENT => notify::reply(self.listener, self.id, 0, sys::errno(&error)),
            sent => sent,
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.open {
            let _gone = notify::reply(self.listener, self.id, 0, libc::EACCES);
        }
    }
}
