//! A wait cut short by a signal: the caller runs its handler or stops, and then restarts the call or reads EINTR, as the handler asks (signal(7)).
//!
//! The kernel does all of it when a call ends with its own errno 512 in a thread that has a signal to look at; in any other thread 512 would be
//! read as an errno. A signal for the whole process may be another thread's by the time the answer arrives: then the caller is made to look by
//! a stop under trace, and restarts the call unseen if nothing is left for it.
//! Left out: waits of an exec and of a question, which no signal but a deadly one ends; a stop that only the seventeenth thread or a later one took.

use super::answer::{Answered, Pending};
use super::process::trace::Stopping;
use super::seen::caller::Caller;
use super::session::Session;

/// The kernel's own: restart the call or return EINTR, as the handler of the signal asks.
const RESTART_OR_INTERRUPT: i32 = 512;
/// SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU: what stops a process that neither handles nor ignores it.
const STOPS: u64 = 0b1111 << (libc::SIGSTOP - 1);
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
    stats.into_iter().any(|stat| state(&stat) == Some(b'T'))
}

/// The letter after the name, which may hold anything (proc_pid_stat(5)).
fn state(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(end + 2).copied()
}

/// The waiting signals that a thread would take: a bit each, from signal 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signals {
    /// Sent to it alone.
    own: u64,
    /// Sent to its process.
    shared: u64,
    /// Whether its process has no other thread.
    alone: bool,
}

impl Signals {
    /// Reads `/proc/TID/status` (proc_pid_status(5)).
    fn of(status: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(status);
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let bits = |key: &str| line(key).and_then(|rest| u64::from_str_radix(rest, 16).ok());
        let taken = !bits("SigBlk:")? & (bits("SigCgt:")? | STOPS & !bits("SigIgn:")?);
        Some(Self { own: bits("SigPnd:")? & taken, shared: bits("ShdPnd:")? & taken, alone: line("Threads:")? == "1" })
    }

    fn surely_own(self) -> bool {
        self.own != 0 || (self.alone && self.shared != 0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn signals(own: u64, shared: u64, threads: u32) -> Signals {
        let text = format!(
            "Name:\tx\nThreads:\t{threads}\nSigPnd:\t{own:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t0000000000000002\n\
            SigIgn:\t0000000000080000\nSigCgt:\t0000000000000006\n"
        );
        Signals::of(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_handled_or_stops_and_is_not_blocked_is_taken() {
        assert_eq!(signals(0, 0x1c_0007, 2), Signals { own: 0, shared: 0x14_0004, alone: false });
    }

    #[test]
    fn a_signal_for_the_process_is_surely_ones_own_only_alone() {
        assert!(signals(4, 0, 9).surely_own());
        assert!(signals(0, 4, 1).surely_own());
        assert!(!signals(0, 4, 2).surely_own());
        assert!(!signals(2, 2, 1).surely_own());
    }

    #[test]
    fn a_state_follows_the_name_whatever_that_is() {
        assert_eq!(state(b"7 (a) T (b) S 1 2"), Some(b'S'));
        assert_eq!(state(b"7 (a"), None);
    }
}
