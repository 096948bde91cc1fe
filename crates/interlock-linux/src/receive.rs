//! Receiving calls and sending answers: one loop a thread. A receiver takes all that is pending before it serves, since a signal ends a call that
//! nobody has received (`backlog`).
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

/// Receives and serves until no filtered task is left, or the pool has one receiver too many.
pub fn run(session: &Session) {
    loop {
        match next(session) {
            Ok(Some(call)) => serve_counted(&call, session),
            Ok(None) => {}
            Err(end) => {
                if let End::Failed(error) = end {
                    session.line.poison(&format!("the listener failed: {error}"));
                }
                return session.pool.backlog.end();
            }
        }
        if session.pool.leaves() {
            return;
        }
    }
}

/// Serves what receivers have taken and not come to, whenever there is too much of it, until no filtered task is left.
pub fn help(session: &Session) {
    while session.pool.backlog.helps() {
        while let Some(call) = session.pool.backlog.take() {
            serve_counted(&call, session);
        }
    }
}

enum End {
    Deserted,
    Failed(std::io::Error),
}

/// The call to serve next, after all that was pending has been received. A call that is alone is not put into the backlog at all.
fn next(session: &Session) -> Result<Option<Call>, End> {
    let (listener, backlog) = (session.listener.as_fd(), &session.pool.backlog);
    if backlog.is_empty() {
        let received = receive(listener)?;
        if !notify::pending(listener) {
            return Ok(received);
        }
        received.into_iter().for_each(|call| backlog.put(call));
    }
    // Another receiver may be quicker between look and receipt, and this one then waits in the kernel: with nothing in hand, for all it has is in
    // the backlog since before this look.
    while !backlog.is_full() && notify::pending(listener) {
        receive(listener)?.into_iter().for_each(|call| backlog.put(call));
    }
    Ok(backlog.take())
}

/// One call, or nothing where its caller vanished meanwhile.
fn receive(listener: BorrowedFd<'_>) -> Result<Option<Call>, End> {
    match notify::receive(listener).map_err(End::Failed)? {
        None if notify::deserted(listener) => Err(End::Deserted),
        received => Ok(received),
    }
}

fn serve_counted(call: &Call, session: &Session) {
    session.busy.fetch_add(1, Ordering::AcqRel);
    serve(call, session);
    session.busy.fetch_sub(1, Ordering::AcqRel);
    session.pool.finished();
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
