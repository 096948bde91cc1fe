//! Signals: whether the one who is meant belongs to the session, and what policy says of it.
//!
//! Signal and target are registers, and the wall's signal scope keeps every signal within the session: what is allowed inside goes on in
//! the kernel. What policy allows outside is sent on the caller's behalf, by a descriptor of the process that was judged, without the
//! siginfo the caller composed. Left out: whom a call means (`meant`).

use super::meant::Meant;
use crate::door::answer::{Answered, Pending, Proof};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::{Enactor, Observed};
use crate::sys::errno::Errno;
use crate::sys::sockets;
use interlock_core::action::{Side, Target, Verb};
use std::os::fd::AsFd as _;

const SIGNAL_MAX: i32 = 64;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Answers kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo and pidfd_send_signal.
pub fn signal(errand: &Errand<'_>, pending: Pending) -> Answered {
    match attempt(errand) {
        Ok(Some(proof)) => pending.go_on(proof),
        Ok(None) => pending.value(0),
        Err(Stop::Errno(Errno(errno)) | Stop::Refused { errno, .. }) => pending.errno(errno),
        // Nothing of it waits.
        Err(Stop::Interrupted) => pending.errno(libc::EINTR),
        Err(Stop::Denied | Stop::Gone) => pending.errno(libc::EPERM),
    }
}

/// Sends the signal, or gives the proof with which the kernel may.
fn attempt(errand: &Errand<'_>) -> Result<Option<Proof>, Stop> {
    let (meant, signal) = Meant::read(&errand.caller)?;
    if !(0..=SIGNAL_MAX).contains(&signal) {
        return Err(Errno(libc::EINVAL).into());
    }
    let id = meant.id();
    if let Some(proof) = meant.inside(&errand.caller) {
        // What came of it is the kernel's and unknown here.
        drop(errand.settle(&ENACTOR, vec![act(Side::Inside, signal, id)])?);
        return Ok(Some(Proof::StaysInside(proof)));
    }
    let (target, flags) = meant.hold()?;
    if errand.session.keepers.keeps(id) {
        errand.session.line.refuse(
            errand.call,
            act(Side::Outside, signal, id),
            "Interlock's own processes are out of reach of what they hold",
        );
        return Err(Errno(libc::EPERM).into());
    }
    errand.enact_as_caller(&ENACTOR, vec![act(Side::Outside, signal, id)], |_| {
        sockets::signal(target.as_fd(), signal, flags).map_err(|error| Errno::from(error).into())
    })?;
    Ok(None)
}

fn act(to: Side, signal: i32, process: i32) -> Observed {
    Observed::new(Verb::ProcessSignal, Target::Signal { to, signal, process })
}
