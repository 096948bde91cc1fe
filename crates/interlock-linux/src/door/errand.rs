//! One file call carried out on behalf of its caller: what every family needs to settle an act and to do it as the caller would.
//!
//! Left out: what a call means (`open`, `names`, `metadata`).

use super::answer::{Answered, Pending};
use super::file::loss;
use super::refusal;
use super::restart;
use super::seen::caller::{Caller, Reached, Stop};
use super::seen::lost::{self, Lost};
use super::seen::resolve::{Name, Object};
use super::session::Session;
use crate::line::{Enactor, Leave, Observed, Permit, Settled};
use crate::sys::credentials;
use crate::sys::errno::{Errno, Sys};
use crate::sys::files::{self, Stat};
use crate::sys::notify::Call;
use crate::sys::threads;
use interlock_abi::status::Status;
use interlock_core::action::{Bytes, FileEnd, Inode, Target, Verb};
use interlock_core::facts::Origin;
use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a blocking act looks for a signal that natively would have ended it.
const SIGNAL_CHECK: Duration = Duration::from_millis(20);

/// Everybody may make names there, and nobody may take away another's: `/tmp`.
const OPEN_TO_ALL: u32 = libc::S_ISVTX | libc::S_IWOTH;

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

    /// Ends the call with a value, or as it stopped; a refusal of the door's own is recorded on the way as `verb`.
    pub fn end(&self, pending: Pending, verb: Verb, result: Result<i64, Stop>) -> Answered {
        match result {
            Ok(value) => pending.value(value),
            Err(stop) => self.stop(pending, verb, stop),
        }
    }

    /// Ends a call that stopped short.
    pub fn stop(&self, pending: Pending, verb: Verb, stop: Stop) -> Answered {
        refusal::stopped(self.session, pending, stop, |path| self.act(verb, path, None))
    }

    /// A file made or changed to run as somebody else is refused, whatever policy says: it would act outside the session.
    ///
    /// # Errors
    /// EPERM, recorded, when `mode` holds the set-user-ID or set-group-ID bit.
    pub fn forbid_privilege(&self, mode: u32, path: &[u8]) -> Result<(), Stop> {
        if mode & (libc::S_ISUID | libc::S_ISGID) == 0 {
            return Ok(());
        }
        Err(forbidden(path, "no file is made to run as its owner or group"))
    }

    /// Decides, asks and records; the leave to act is worth nothing without the act's descriptor.
    ///
    /// # Errors
    /// [`Stop::Denied`]; [`Stop::Gone`] when the caller did not outlive the question.
    pub fn settle(&self, enactor: &Enactor, acts: Vec<Observed>) -> Result<Leave<'_>, Stop> {
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

    /// The caller's umask: what the session began with, as long as nobody has set another.
    pub fn umask(&self) -> Result<u32, Stop> {
        if self.session.standing.umask_may_differ.load(Ordering::Acquire) {
            Ok(self.status()?.umask)
        } else {
            Ok(self.session.ground.umask)
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

    /// One end of an act: the name `path`, its other names, and the object there.
    pub fn end_at(&self, path: &[u8], stat: Option<&Stat>) -> FileEnd {
        FileEnd {
            path: Bytes(path.to_vec()),
            aliases: self.session.mounts.aliases(path).into_iter().map(Bytes).collect(),
            inode: stat.map(inode),
        }
    }

    /// An act on one named file, held if it is there.
    pub fn act(&self, verb: Verb, path: &[u8], found: Option<(BorrowedFd<'_>, &Stat)>) -> Observed {
        let target = Target::File(self.end_at(path, found.map(|(_, stat)| stat)));
        let asked = found.filter(|_| self.session.line.judge.asks_origin);
        Observed { origin: asked.map(|found| self.origin(found)), ..Observed::new(verb, target) }
    }

    /// Where what is held comes from.
    pub fn origin(&self, (file, stat): (BorrowedFd<'_>, &Stat)) -> Origin {
        self.session.made.origin(inode(stat), file)
    }

    /// The making of a name in a folder that is held.
    pub fn making(&self, verb: Verb, path: &[u8], folder: BorrowedFd<'_>) -> Observed {
        let asked = self.session.line.judge.asks_origin;
        Observed { origin: asked.then(|| self.origin_in(folder)), ..self.act(verb, path, None) }
    }

    /// Where a name comes from that is not there yet: it changes its folder. In one that is open to everybody it is the session's own.
    pub fn origin_in(&self, folder: BorrowedFd<'_>) -> Origin {
        match files::stat(folder) {
            Ok(stat) if stat.mode & OPEN_TO_ALL == OPEN_TO_ALL => Origin::Session,
            Ok(stat) => self.origin((folder, &stat)),
            Err(_) => Origin::Before,
        }
    }

    /// The acts `verbs` on an object; none on what has no name and is held already.
    ///
    /// # Errors
    /// A refusal of what has lost its name (`lost`).
    pub fn acts_on(&self, verbs: &[Verb], object: &Object) -> Result<Vec<Observed>, Stop> {
        let path = match &object.name {
            Name::Held(_) => return Ok(Vec::new()),
            Name::Lost(_) if lost::admitted(&self.caller, &self.session.made, object, verbs)? == Lost::Held => return Ok(Vec::new()),
            Name::Lost(path) | Name::Path(path) => path,
        };
        let found = (object.file.as_fd(), &object.stat);
        let overwrites = verbs.iter().any(|verb| matches!(verb, Verb::FileWrite | Verb::FileTruncate));
        let loss = if overwrites { loss::overwritten(self, verbs, path, found) } else { None };
        Ok(verbs.iter().map(|verb| self.act(*verb, path, Some(found))).chain(loss).collect())
    }

    /// Settles and does something to an object as the caller: at once when there is nothing to decide, since it is held already.
    pub fn enact_on<T>(
        &self,
        enactor: &Enactor,
        verbs: &[Verb],
        object: &Object,
        act: impl FnOnce(&[Permit]) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let act = |permits: &[Permit]| self.as_caller(|| act(permits));
        if let ([Verb::FileRead], Name::Path(path)) = (verbs, &object.name) {
            if let Some(leave) = self.session.line.routine(path, inode(&object.stat)) {
                return self.carry_out(leave, act);
            }
        }
        let acts = self.acts_on(verbs, object)?;
        if acts.is_empty() { act(&[]) } else { self.enact(enactor, acts, act) }
    }
}

/// The mode of what is made in `parent` with `mode` asked for: without the maker's umask, for the supervisor has none (`session`). Where the
/// directory has a default ACL, that takes its place, as natively. Whoever changes the ACL meanwhile could have made it say anything.
pub fn masked(mode: u32, umask: u32, parent: BorrowedFd<'_>) -> Sys<u32> {
    let falls_under = mode & umask != 0 && !files::has_default_acl(&files::magic(parent).absolute())?;
    Ok(if falls_under { mode & !umask } else { mode })
}

/// A refusal of the door's own that the call tells as EPERM.
pub fn forbidden(path: &[u8], because: &'static str) -> Stop {
    Stop::Refused { reached: Reached::Path(path.to_vec()), because, errno: libc::EPERM }
}

/// An object's identity in the engine's words.
pub fn inode(stat: &Stat) -> Inode {
    Inode { device: stat.device, number: stat.inode }
}
