//! A trapped call and its one answer; and the proofs without which the kernel is not told to go on by itself.
//!
//! INVARIANT: a call is answered once. [`Pending`] is neither copied nor cloned, and every way to answer consumes it; dropped unanswered, the call
//! fails with EACCES and the session records that. The listener is nobody else's, so there is no way around it.
//! Left out: what the answer is (`door`), and why a proof holds: whoever earns one says so.

use super::process::meant::StaysInside;
use super::process::objects::{Limits, MadeHere};
use super::process::own::OwnStanding;
use super::process::replaced::Replaced;
use super::process::traced::{ExecEnd, Traced};
use super::seen::path_only::PathOnly;
use crate::sys;
use crate::sys::notify::{Call, Listener, Watch};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Where the calls of a session arrive.
pub struct Calls {
    listener: Listener,
    unanswered: Box<dyn Fn(&Call) + Send + Sync>,
}

impl Calls {
    /// Calls that arrive at `listener`. `unanswered` is told of each that was dropped, before its denial is sent.
    #[must_use]
    pub fn new(listener: Listener, unanswered: Box<dyn Fn(&Call) + Send + Sync>) -> Arc<Self> {
        Arc::new(Self { listener, unanswered })
    }

    /// Waits for the next call. `Ok(None)`: its caller vanished before it could be received, or no filtered task is left.
    ///
    /// # Errors
    /// The listener failed.
    pub fn receive(self: &Arc<Self>) -> io::Result<Option<Pending>> {
        let call = self.listener.receive()?;
        Ok(call.map(|call| Pending { calls: Arc::clone(self), call, open: true }))
    }

    /// Puts a file of the supervisor's in the place of a caller's, under the number that the caller knows, while its call waits.
    ///
    /// # Errors
    /// The kernel's: ENOENT when the caller is gone.
    pub fn exchange(&self, call: &Call, file: BorrowedFd<'_>, number: i32, close_on_exec: bool) -> io::Result<()> {
        self.listener.exchange(call.id, file, number, close_on_exec)
    }

    /// A look at who waits.
    #[must_use]
    pub fn watch(&self) -> Watch<'_> {
        self.listener.watch()
    }

    /// Whether a call waits to be received. Another receiver may be quicker.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.listener.pending()
    }

    /// Whether no filtered task is left, now and for ever.
    #[must_use]
    pub fn deserted(&self) -> bool {
        self.listener.deserted()
    }
}

/// A call that was received and is not answered yet.
#[must_use = "dropped, the call is denied"]
pub struct Pending {
    calls: Arc<Calls>,
    call: Call,
    open: bool,
}

/// That a call was answered: made by answering one.
#[must_use]
#[derive(Debug)]
pub struct Answered {
    /// The errno of an answer that the kernel did not take.
    errno: Option<i32>,
}

impl Answered {
    /// The errno with which the kernel refused the answer, but for ENOENT: then the caller died while it was answered.
    #[must_use]
    pub fn refused(&self) -> Option<i32> {
        self.errno.filter(|errno| *errno != libc::ENOENT)
    }

    #[cfg(test)]
    fn arrived(&self) -> bool {
        self.errno.is_none()
    }
}

impl Pending {
    /// The call.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The call returns this value.
    pub fn value(self, value: i64) -> Answered {
        let sent = self.calls.listener.value(self.call.id, value);
        self.answered(sent)
    }

    /// The call fails with this (positive) errno.
    pub fn errno(self, errno: i32) -> Answered {
        let sent = self.calls.listener.errno(self.call.id, errno);
        self.answered(sent)
    }

    /// The call returns a new descriptor for this file. A full descriptor table is the caller's own matter: it hears the kernel's errno.
    pub fn inject(self, file: &OwnedFd, close_on_exec: bool) -> Answered {
        match self.calls.listener.inject(self.call.id, file.as_fd(), close_on_exec) {
            Err(error) if sys::errno(&error) != libc::ENOENT => self.errno(sys::errno(&error)),
            sent => self.answered(sent),
        }
    }

    /// The kernel goes on with the caller's own arguments. A proof earned for another call says nothing about this one, which is then denied.
    pub fn go_on(self, proof: Proof) -> Answered {
        if proof.call() != self.call.id {
            return self.errno(libc::EACCES);
        }
        let sent = self.calls.listener.go_on(self.call.id);
        self.answered(sent)
    }

    /// The kernel goes on with an exec whose thread is traced: it is verified before its first instruction, or its process ends.
    pub fn hand_to(self, traced: Traced<'_>) -> (Answered, ExecEnd) {
        if traced.call() != self.call.id {
            drop(traced);
            return (self.errno(libc::EACCES), ExecEnd::Gone);
        }
        let sent = self.calls.listener.go_on(self.call.id);
        (self.answered(sent), traced.verified())
    }

    /// What the kernel takes no answer to is denied; where it does not take that either, the caller is gone.
    fn answered(mut self, sent: io::Result<()>) -> Answered {
        self.open = false;
        let errno = sent.err().map(|error| sys::errno(&error));
        if errno.is_some_and(|errno| errno != libc::ENOENT) {
            let _gone = self.calls.listener.errno(self.call.id, libc::EACCES);
        }
        Answered { errno }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.open {
            // What panics is recorded as that.
            if !std::thread::panicking() {
                (self.calls.unanswered)(&self.call);
            }
            let _gone = self.calls.listener.errno(self.call.id, libc::EACCES);
        }
    }
}

/// Why `continue` cannot admit more than was decided: earned for one call from the module that proves it, and by no other way.
#[derive(Debug)]
pub enum Proof {
    /// The call changes the standing of its caller alone.
    OwnStanding(OwnStanding),
    /// The wall keeps the signal within the session.
    StaysInside(StaysInside),
    /// The descriptor can carry no data.
    PathOnly(PathOnly),
    /// The object is named by a register, and this session's door made it.
    MadeHere(MadeHere),
    /// The call tells limits and sums of the machine.
    Limits(Limits),
    /// A receiver has its tracee make the call, and verifies what it commits.
    Replaced(Replaced),
}

impl Proof {
    /// The call that it was earned for.
    fn call(&self) -> u64 {
        match self {
            Self::OwnStanding(proof) => proof.call(),
            Self::StaysInside(proof) => proof.call(),
            Self::PathOnly(proof) => proof.call(),
            Self::MadeHere(proof) => proof.call(),
            Self::Limits(proof) => proof.call(),
            Self::Replaced(proof) => proof.call(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::door::process::own::Standing;
    use crate::door::seen::ground::Ground;
    use crate::sys::notify::{self, Instruction};
    use crate::sys::process;
    use std::sync::mpsc::channel;
    use std::thread::JoinHandle;

    /// A call that nobody misses: what its return value is without us, `getpgid(0)` says.
    const TRAPPED: u32 = libc::SYS_getpgid as u32;
    const FILTER: [Instruction; 4] = [
        Instruction { code: 0x20, jump_true: 0, jump_false: 0, constant: 0 },
        Instruction { code: 0x15, jump_true: 0, jump_false: 1, constant: TRAPPED },
        Instruction { code: 0x06, jump_true: 0, jump_false: 0, constant: 0x7fc0_0000 },
        Instruction { code: 0x06, jump_true: 0, jump_false: 0, constant: 0x7fff_0000 },
    ];

    /// A thread whose call has arrived, what it will read (a value, or minus an errno), and which calls were given up.
    fn asked() -> (Pending, JoinHandle<i32>, std::sync::mpsc::Receiver<u64>) {
        let (say, listener) = channel();
        let caller = std::thread::spawn(move || {
            process::control(libc::PR_SET_NO_NEW_PRIVS, 1).unwrap();
            say.send(notify::install(&FILTER).unwrap()).unwrap();
            match process::probe(libc::SYS_getpgid, [0; 6]) {
                0 => 0,
                errno => -errno,
            }
        });
        let (tell, told) = channel();
        let calls = Calls::new(Listener::from(listener.recv().unwrap()), Box::new(move |call| tell.send(call.id).unwrap()));
        (calls.receive().unwrap().unwrap(), caller, told)
    }

    fn proof(call: &Call) -> Proof {
        Proof::OwnStanding(Standing::of(&Ground::open().unwrap()).credentials(call))
    }

    #[test]
    fn a_call_given_up_is_denied_and_told() {
        let (pending, caller, told) = asked();
        let id = pending.call().id;
        drop(pending);
        assert_eq!(caller.join().unwrap(), -libc::EACCES);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [id]);
    }

    #[test]
    fn an_answer_arrives_and_nothing_is_told() {
        let (pending, caller, told) = asked();
        assert!(pending.errno(libc::EXDEV).arrived());
        assert_eq!((caller.join().unwrap(), told.try_iter().count()), (-libc::EXDEV, 0));
    }

    #[test]
    fn a_proof_continues_its_own_call_alone() {
        let (pending, caller, _) = asked();
        let proof = proof(&Call { id: pending.call().id + 1, ..*pending.call() });
        assert!(pending.go_on(proof).arrived());
        assert_eq!(caller.join().unwrap(), -libc::EACCES);
        let (pending, caller, _) = asked();
        let proof = self::proof(pending.call());
        assert!(pending.go_on(proof).arrived());
        assert_eq!(caller.join().unwrap(), 0);
    }

    #[test]
    fn what_the_kernel_does_not_take_is_denied() {
        let (pending, caller, _) = asked();
        let path_only = Ground::open().unwrap().root;
        assert!(pending.inject(&path_only, true).arrived(), "the kernel's errno is an answer");
        assert_eq!(caller.join().unwrap(), -libc::EBADF);
    }
}
