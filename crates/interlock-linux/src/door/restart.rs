//! A wait cut short by a signal: the caller runs its handler or stops, and then restarts the call or reads EINTR, as the handler asks (signal(7)).
//!
//! The kernel does all of it when a call ends with its own errno 512 in a thread that has a signal to look at; in any other thread 512 would be
//! read as an errno. A signal for the whole process may be another thread's by the time the answer arrives: then the caller is made to look by
//! a stop under trace, and restarts the call unseen if nothing is left for it.
//! Left out: waits of an exec and of a question, which no signal but a deadly one ends; a stop that only the seventeenth thread or a later one took.

use super::answer::{Answered, Pending};
use super::process::traced::Stopping;
use super::seen::caller::Caller;
use super::session::Session;
use interlock_abi::status::{Signals, state_and_parent};

/// The kernel's own: restart the call or return EINTR, as the handler of the signal asks.
const RESTART_OR_INTERRUPT: i32 = 512;
/// Threads of one process that are looked at.
const SIBLINGS_MAX: usize = 16;

/// Whether a signal waits that natively would have ended the call.
pub fn is_due(caller: &Caller<'_>) -> bool {
    let status = caller.proc_text("status").unwrap_or_default();
    let Some(signals) = Signals::of(&status) else { return false };
    signals.own != 0 || signals.shared != 0 || (!signals.alone && is_to_stop(caller))
}

/// Answers the call so that its signal is taken. Who cannot be traced (a debugger has it) reads EINTR.
pub fn answer(session: &Session, pending: Pending) -> Answered {
    let call = *pending.call();
    let caller = Caller::new(&call, session.calls.watch(), &session.ground, session.members);
    let status = caller.proc_text("status").unwrap_or_default();
    if Signals::of(&status).is_some_and(|signals| signals.surely_own()) {
        return pending.errno(RESTART_OR_INTERRUPT);
    }
    let Ok(_place) = session.room_for_a_moment(&call) else { return pending.errno(libc::EINTR) };
    match Stopping::seize(&call, || session.still_waits(&call)) {
        Ok(Some(stopping)) => {
            let answered = pending.errno(RESTART_OR_INTERRUPT);
            stopping.let_go();
            answered
        }
        Ok(None) | Err(_) => pending.errno(libc::EINTR),
    }
}

/// Whether another thread of its process is stopped: then all are to stop, and this one has yet to look.
fn is_to_stop(caller: &Caller<'_>) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", caller.thread())) else { return false };
    let stats = tasks.take(SIBLINGS_MAX).filter_map(|task| std::fs::read(task.ok()?.path().join("stat")).ok());
    stats.into_iter().any(|stat| state_and_parent(&stat).is_some_and(|(state, _)| state == b'T'))
}
