//! A call in hand, with its session and its maker: settled by the line and carried out as the caller would.
//!
//! Left out: how an act is told to the line (`act`), how a call that stopped ends (`refusal`), waiting (`wait`), the mode of what is made (`mode`), and
//! what a call means, which is its family's.

use super::copies::Copy;
use super::file::installed::is_being_installed;
use super::seen::caller::{Caller, Reached, Stop};
use super::session::Session;
use crate::line::{Enactor, Leave, Observed, Permit, Settled};
use crate::sys::credentials::{self, Identity};
use crate::sys::errno::Errno;
use crate::sys::notify::Call;
use interlock_abi::status::Status;
use interlock_core::action::{Target, Verb};
use std::cell::OnceCell;
use std::sync::atomic::Ordering;

/// A call being served.
pub struct Errand<'a> {
    /// The call.
    pub call: &'a Call,
    /// Its session.
    pub session: &'a Session,
    /// Its maker.
    pub caller: Caller<'a>,
    status: OnceCell<Status>,
}

impl<'a> Errand<'a> {
    /// Begins to serve `call`.
    pub fn new(call: &'a Call, session: &'a Session) -> Self {
        let caller = Caller::new(call, session.calls.watch(), &session.ground, session.members);
        Self { call, session, caller, status: OnceCell::new() }
    }

    /// Decides, asks and records; the leave to act is worth nothing without the act's descriptor.
    ///
    /// # Errors
    /// [`Stop::Denied`]; [`Stop::Gone`] when the caller did not outlive the question.
    pub fn settle(&self, enactor: &Enactor, acts: Vec<Observed>) -> Result<Leave<'_>, Stop> {
        if let Some(name) = acts.iter().filter(|act| act.verb != Verb::FileRead).find_map(being_installed) {
            let because = "Interlock is about to put this file where it belongs";
            return Err(Stop::Refused { reached: Reached::Path(name.to_vec()), because, errno: libc::EPERM });
        }
        // A file opened to be read for a caller that is gone is closed again: injecting it fails.
        let effects = acts.iter().any(|act| act.verb != Verb::FileRead);
        match self.session.line.settle(self.session, self.call, enactor, acts) {
            Settled::Denied => Err(Stop::Denied),
            Settled::Allowed(leave) => {
                // An effect for a caller that is gone would be nobody's.
                match if effects { self.caller.confirm() } else { Ok(()) } {
                    Ok(()) => Ok(leave),
                    Err(gone) => {
                        leave.done(libc::EINTR);
                        Err(gone)
                    }
                }
            }
        }
    }

    /// Settles `acts` and carries them out.
    pub fn enact<T>(&self, enactor: &Enactor, acts: Vec<Observed>, act: impl FnOnce(&[Permit]) -> Result<T, Stop>) -> Result<T, Stop> {
        self.carry_out(self.settle(enactor, acts)?, act)
    }

    /// The same, where `act` is done as the caller.
    pub fn enact_as_caller<T>(
        &self,
        enactor: &Enactor,
        acts: Vec<Observed>,
        act: impl FnOnce(&[Permit]) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.enact(enactor, acts, |permits| self.as_caller(|| act(permits)))
    }

    /// Hands the permits to `act`, and notes what came of it.
    pub fn carry_out<T>(&self, leave: Leave<'_>, act: impl FnOnce(&[Permit]) -> Result<T, Stop>) -> Result<T, Stop> {
        let result = act(leave.permits());
        leave.done(match &result {
            // A connection on its way is one.
            Ok(_) | Err(Stop::Errno(Errno(libc::EINPROGRESS))) => 0,
            Err(Stop::Errno(Errno(errno)) | Stop::Refused { errno, .. }) => *errno,
            Err(Stop::Gone | Stop::Interrupted) => libc::EINTR,
            Err(Stop::Denied) => libc::EACCES,
        });
        result
    }

    /// What `/proc` says of the caller, read once: it cannot change itself while it waits.
    pub fn status(&self) -> Result<&Status, Stop> {
        if let Some(status) = self.status.get() {
            return Ok(status);
        }
        let status = self.caller.status()?;
        self.caller.confirm()?;
        Ok(self.status.get_or_init(|| status))
    }

    /// Waits for what was written in place to this name to be there (`file::copy`). Whether anything may have been put there.
    pub fn settled(&self, name: &[u8]) -> bool {
        let copies = &self.session.copies;
        copies.count.load(Ordering::Acquire) > 0 && copies.settle(|copy| copy.name == name, &self.session.handovers)
    }

    /// The same for whatever is in a folder: who empties it may have seen what is put in place there.
    pub fn settled_in(&self, folder: &[u8]) {
        let copies = &self.session.copies;
        if copies.count.load(Ordering::Acquire) > 0 {
            let lies_there = |copy: &Copy| copy.name.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"));
            copies.settle(lies_there, &self.session.handovers);
        }
    }

    /// Whom the caller acts as, where that is not who the supervisor is.
    pub fn identity(&self) -> Result<Option<Identity>, Stop> {
        if self.session.ground.privileged && self.session.standing.ids_may_differ.load(Ordering::Acquire) {
            Ok(Some(self.status()?.identity.clone()))
        } else {
            Ok(None)
        }
    }

    /// Does something with the caller's ids, groups and no capability it lacks; as an ordinary user all of these are the supervisor's own.
    pub fn as_caller<T>(&self, act: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        if !credentials::usable() {
            return Err(Errno(libc::EPERM).into());
        }
        if !(self.session.ground.privileged && self.session.standing.ids_may_differ.load(Ordering::Acquire)) {
            return act();
        }
        let assumed = credentials::assume(&self.status()?.identity)?;
        let result = act();
        drop(assumed);
        result
    }
}

/// The name of a file that Interlock is installing, if that is what the act is upon.
fn being_installed(act: &Observed) -> Option<&[u8]> {
    let names = match &act.target {
        Target::File(end) => [Some(&end.path), None],
        Target::Pair { path, to, .. } => [Some(path), Some(&to.path)],
        _ => [None, None],
    };
    names.into_iter().flatten().map(|path| path.0.as_slice()).find(|path| is_being_installed(path))
}
