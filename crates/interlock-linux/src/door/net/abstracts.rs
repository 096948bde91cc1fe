//! Abstract unix names: the kernel says whose they are.
//!
//! An abstract name has no file to look at, and no question to the kernel is by name: its tables say neither which bytes a name has nor all that is
//! there. So the call is done in the session's scope (`sys::scope`), where the sockets of the session answer and the kernel refuses every other with
//! EPERM; only if policy lets it reach those as well is it done once more outside the scope.
//!
//! RULE: what the kernel says before it asks whose a socket is, is no word about that: a queue that is full says EAGAIN whoever has it, and a socket that
//! hears nobody EPIPE. Then the socket that has the name is held to be the session's (`owned`), or the call needs what a call to outside needs.
//! Names are made freely, but where a path is kept from the session, so is the name that spells it.
//! Source: unix(7), landlock(7).

use super::reach::reach;
use super::socket::Socket;
use super::unix;
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::{Enactor, Leave, Observed};
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use interlock_abi::address::Purpose;
use interlock_core::action::{Bytes, Side, Target, Verb};
use interlock_core::decision::Says;
use interlock_core::facts::{Facts, History, Origin};
use std::os::fd::AsFd as _;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Whose a name is, as an errno of a call in the scope tells.
enum Whose {
    /// A socket's of the session.
    Session,
    /// One's that was made outside.
    Outside,
    /// There is somebody, and that is all that is known.
    Anybody,
    /// Whoever has it, or nobody: the call is over with this errno.
    Over,
}

/// Answers a connect to an abstract name.
///
/// # Errors
/// The kernel's, and what policy says.
pub fn connect(errand: &Errand<'_>, socket: &Socket, name: &[u8]) -> Result<i64, Stop> {
    let wire = unix::abstract_wire(name)?;
    towards(errand, socket, name, Purpose::Connect, |errand| reach(errand, socket, &wire))?;
    Ok(0)
}

/// Answers a bind to an abstract name.
///
/// Programs outside look for a socket at a path and at the abstract name that spells it, X clients at the latter first. So RULE: what a rule says
/// against the making of a path holds for that name. Nothing lies beneath it, so where no rule speaks the name is free.
///
/// # Errors
/// The kernel's, and what policy says.
pub fn bind(errand: &Errand<'_>, socket: &Socket, name: &[u8]) -> Result<(), Stop> {
    if let Some(act) = spelled(errand, name) {
        let facts = Facts { origin: act.origin, history: act.history, ..Facts::default() };
        let said = errand.session.line.judge.first(&act.alone(), |_| facts).decision;
        if said.spoke && said.decision != Says::Allow {
            errand.settle(&ENACTOR, vec![act])?.done(0);
        }
    }
    sys::bind(socket.as_fd(), &unix::abstract_wire(name)?).map_err(|error| Errno::from(error).into())
}

/// The making of the path that a name spells. Programs that give the whole of a `sockaddr_un` fill it with zeroes.
fn spelled(errand: &Errand<'_>, name: &[u8]) -> Option<Observed> {
    let end = name.iter().rposition(|byte| *byte != 0)? + 1;
    let path = name.get(..end).filter(|path| path.starts_with(b"/") && !path.contains(&0))?;
    let act = errand.act(Verb::FileMknod, path, None);
    Some(Observed { origin: Some(Origin::Session), history: Some(History::None), ..act })
}

/// Does `act` towards an abstract name, as far as policy lets it.
///
/// # Errors
/// `act`'s own, and what policy says.
pub fn towards<T>(
    errand: &Errand<'_>,
    socket: &Socket,
    name: &[u8],
    purpose: Purpose,
    act: impl Fn(&Errand<'_>) -> Result<T, Stop> + Sync,
) -> Result<T, Stop> {
    unix::refuse_other_ids(errand, reaching(name, Side::Outside), purpose)?;
    if !is_allowed(errand, name) {
        // Nothing may be done to find out that would be done to a socket of the session.
        if let Err(errno) = probe(errand, socket, name) {
            match whose(errand, socket, name, errno) {
                Whose::Session => {}
                Whose::Outside => return reach_after(errand, &[Side::Outside], name, act),
                Whose::Anybody => return reach_after(errand, &[Side::Inside, Side::Outside], name, act),
                Whose::Over => return Err(errno.into()),
            }
        }
    }
    let leave = settle(errand, &[Side::Inside], name)?;
    let result = scoped(errand, &act);
    leave.done(result.as_ref().err().map_or(0, |stop| stop.clone().into_errno().0));
    match &result {
        Err(Stop::Errno(errno)) if !matches!(whose(errand, socket, name, *errno), Whose::Session | Whose::Over) => {
            reach_after(errand, &[Side::Outside], name, act)
        }
        _ => result,
    }
}

fn whose(errand: &Errand<'_>, socket: &Socket, name: &[u8], errno: Errno) -> Whose {
    let is_own = || {
        let (owned, members) = (&errand.session.sockets.owned, &errand.session.members);
        unix::abstract_wire(name).is_ok_and(|wire| owned.has((socket.as_fd(), socket.kind), &wire, members))
    };
    match errno {
        // A datagram socket that is connected says so to everybody but its peer.
        Errno(libc::EPERM) if socket.kind.style == libc::SOCK_DGRAM && is_own() => Whose::Session,
        Errno(libc::EPERM) => Whose::Outside,
        Errno(libc::EAGAIN | libc::EPIPE) => {
            if is_own() {
                Whose::Session
            } else {
                Whose::Anybody
            }
        }
        _ => Whose::Over,
    }
}

fn is_allowed(errand: &Errand<'_>, name: &[u8]) -> bool {
    let act = reaching(name, Side::Inside).alone();
    errand.session.line.judge.first(&act, |_| Facts::default()).decision.decision == Says::Allow
}

/// Does `act` outside the scope, where policy lets the call reach each of these sides.
fn reach_after<T>(errand: &Errand<'_>, sides: &[Side], name: &[u8], act: impl Fn(&Errand<'_>) -> Result<T, Stop>) -> Result<T, Stop> {
    settle(errand, sides, name)?.done(0);
    act(errand)
}

/// The errand is not the scoped thread's: it is served there by one of its own.
fn scoped<T>(errand: &Errand<'_>, act: &(impl Fn(&Errand<'_>) -> Result<T, Stop> + Sync)) -> Result<T, Stop> {
    let (call, session) = (errand.call, errand.session);
    session.scope.beside(move || act(&Errand::new(call, session)))?
}

/// Connects a socket of the supervisor's own and lets it go: what that says.
fn probe(errand: &Errand<'_>, socket: &Socket, name: &[u8]) -> Sys<()> {
    let own = sys::open(libc::AF_UNIX, socket.kind.style | libc::SOCK_NONBLOCK, 0).map_err(Errno::from)?;
    let wire = unix::abstract_wire(name)?;
    errand.session.scope.beside(move || Ok(sys::connect(own.as_fd(), &wire)?))?
}

fn settle<'a>(errand: &'a Errand<'_>, sides: &[Side], name: &[u8]) -> Result<Leave<'a>, Stop> {
    let origin = |to| if to == Side::Inside { Origin::Session } else { Origin::Before };
    let acts = sides.iter().map(|to| Observed { origin: Some(origin(*to)), ..reaching(name, *to) });
    errand.settle(&ENACTOR, acts.collect())
}

fn reaching(name: &[u8], to: Side) -> Observed {
    Observed::new(Verb::UnixConnect, Target::UnixAbstract { r#abstract: Bytes(name.to_vec()), to })
}
