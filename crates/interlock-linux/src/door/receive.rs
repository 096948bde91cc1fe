//! Receiving calls, each for the family that answers it: one loop a thread. A receiver takes all that is pending before it serves, since a signal ends a call that
//! nobody has received (`backlog`).
//!
//! INVARIANT: a call received is answered once. What the door's code does to a thread (a panic included) ends in EACCES, recorded.

use super::answer::{Answered, Calls, Pending, Proof};
use super::copies::Copy;
use super::errand::Errand;
use super::file::{descriptors, metadata, names, open};
use super::net::{bind, connect, options, send, shutdown};
use super::process::{exec, ipc, signal};
use super::session::Session;
use crate::filter::need::Need;
use crate::filter::table::{Handler, Row, Ruling};
use crate::line::Unforeseen;
use crate::sys::errno::Errno;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Receives and serves until no filtered task is left, or the pool has one receiver too many.
pub fn run(session: &Session) {
    loop {
        match receive_pending(session) {
            Ok(alone) => serve_next(alone, session),
            Err(end) => return over(end, session),
        }
        if session.pool.leaves() {
            return;
        }
    }
}

/// Serves what receivers have taken and not come to, whenever there is too much of it, until no filtered task is left.
pub fn help(session: &Session) {
    while session.pool.backlog.helps() {
        serve_all(session);
    }
}

enum End {
    Deserted,
    Failed(std::io::Error),
}

/// Nothing more arrives. What waits is served all the same: it is denied, or its caller is gone.
fn over(end: End, session: &Session) {
    if let End::Failed(error) = end {
        session.line.poison(&format!("the listener failed: {error}"));
    }
    session.pool.backlog.end();
    serve_all(session);
}

/// Receives all that is pending into the backlog, and waits for a call where there is none. A call that is alone does not go through the backlog.
fn receive_pending(session: &Session) -> Result<Option<Pending>, End> {
    let (calls, backlog) = (&session.calls, &session.pool.backlog);
    if backlog.is_empty() {
        let received = receive(calls)?;
        let crowded = received.as_ref().is_none_or(|pending| session.pool.crowd.is_seen_with(pending.call().thread));
        if !(crowded && calls.pending()) {
            return Ok(received);
        }
        received.into_iter().for_each(|call| backlog.put(call));
    }
    // Another receiver may be quicker between look and receipt, and this one then waits in the kernel: with nothing in hand, for all it has is in
    // the backlog since before this look.
    while !backlog.is_full() && calls.pending() {
        receive(calls)?.into_iter().for_each(|call| backlog.put(call));
    }
    Ok(None)
}

/// One call, or nothing where its caller vanished meanwhile.
fn receive(calls: &Arc<Calls>) -> Result<Option<Pending>, End> {
    match calls.receive().map_err(End::Failed)? {
        None if calls.deserted() => Err(End::Deserted),
        received => Ok(received),
    }
}

fn serve_all(session: &Session) {
    while !session.pool.backlog.is_empty() {
        serve_next(None, session);
    }
}

/// Serves the call that was alone, else the one that has waited longest.
fn serve_next(alone: Option<Pending>, session: &Session) {
    let _serving = session.pool.serving();
    if let Some(pending) = alone.or_else(|| session.pool.backlog.take()) {
        serve(pending, session);
    }
}

fn serve(pending: Pending, session: &Session) {
    let call = *pending.call();
    match catch_unwind(AssertUnwindSafe(|| answer(pending, session))) {
        Ok(answered) => {
            // What was done for a caller that died meanwhile stays done and recorded.
            if let Some(errno) = answered.refused() {
                session.line.unforeseen(&call, Unforeseen::Unanswerable(errno));
            }
        }
        // Unanswered, it was denied on the way here.
        Err(_) => session.line.unforeseen(&call, Unforeseen::Panic),
    }
}

/// Answers one call. Whatever cannot be observed or decided is an errno, never `continue`.
fn answer(pending: Pending, session: &Session) -> Answered {
    let call = *pending.call();
    let Some(row) = Row::of(call.number) else {
        return pending.errno(libc::ENOSYS);
    };
    if let Ruling::Refuse(errno) = row.ruling(&call.arguments, Need::ALL) {
        session.line.refuse_call(&call, row.name, row.why, errno);
        return pending.errno(errno);
    }
    let Some(handler) = row.handler() else {
        return pending.errno(libc::ENOSYS);
    };
    if session.copies.count.load(Ordering::Acquire) > 0 {
        session.copies.settle(Copy::is_awaited, &session.handovers);
    }
    let errand = Errand::new(&call, session);
    match handler {
        Handler::Credentials => pending.go_on(Proof::OwnStanding(session.standing.credentials(&call))),
        Handler::Own => match session.standing.process(&call) {
            Ok(own) => pending.go_on(Proof::OwnStanding(own)),
            Err(Errno(errno)) => pending.errno(errno),
        },
        Handler::Exec => exec::exec(&errand, pending),
        Handler::Open => open::answer(&errand, pending),
        Handler::Names => names::answer(&errand, pending),
        Handler::Metadata => metadata::answer(&errand, pending),
        Handler::Ioctl => descriptors::request(&errand, pending),
        Handler::Signal => signal::signal(&errand, pending),
        Handler::Connect => connect::connect(&errand, pending),
        Handler::Bind => bind::bind(&errand, pending),
        Handler::Listen => bind::listen(&errand, pending),
        Handler::Send => send::send(&errand, pending),
        Handler::Options => options::answer(&errand, pending),
        Handler::Shutdown => shutdown::answer(&errand, pending),
        Handler::Sysv => ipc::answer(&errand, pending),
    }
}
