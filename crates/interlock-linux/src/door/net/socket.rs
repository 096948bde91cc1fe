//! A caller's socket, taken out of its descriptor table once: the door acts on this copy, whatever the number means a moment later.
//!
//! Leaves out addresses (`sockets`) and what is decided.

use super::kept::Leading;
use super::whereabouts::Whereabouts;
use crate::door::answer::{Answered, Pending};
use crate::door::errand::Errand;
use crate::door::refusal;
use crate::door::seen::caller::Stop;
use crate::line::Observed;
use crate::sys::errno::{Errno, Sys};
use crate::sys::{files, sockets as sys};
use interlock_abi::address::{self, ADDRESS_BYTES_MAX, Endpoint, Kind, Name, Purpose};
use interlock_core::action::{Protocol, Side, Target, Verb};
use interlock_core::decision::Says;
use interlock_core::facts::Facts;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Where servers of names are asked (RFC 1035).
pub(super) const NAMES: u16 = 53;

/// A copy of a caller's socket.
pub struct Socket {
    file: OwnedFd,
    /// What it is.
    pub kind: Kind,
    /// Its number among all sockets of the machine that live.
    pub inode: u64,
    /// What the kernel gives to it and to no other socket, now or later.
    pub cookie: u64,
    /// The thread it was taken from, and its number there.
    place: (i32, i32),
    /// Whether its calls wait (O_NONBLOCK is not set).
    pub waits: bool,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Socket {
    /// Takes descriptor `number` of the caller.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK as the kernel; [`Stop::Gone`].
    pub fn take(errand: &Errand<'_>, number: i32) -> Result<Self, Stop> {
        let file = errand.caller.open_file(number)?;
        errand.caller.confirm()?;
        Ok(Self::of(file, (errand.call.thread, number))?)
    }

    fn of(file: OwnedFd, place: (i32, i32)) -> Sys<Self> {
        let option = |name| sys::option(file.as_fd(), libc::SOL_SOCKET, name).map_err(Errno::from);
        let kind = Kind { domain: option(libc::SO_DOMAIN)?, style: option(libc::SO_TYPE)?, protocol: option(libc::SO_PROTOCOL)? };
        let inode = files::stat(file.as_fd())?.inode;
        let cookie = sys::cookie(file.as_fd()).map_err(Errno::from)?;
        let waits = files::open_flags(file.as_fd())? & libc::O_NONBLOCK == 0;
        Ok(Self { file, kind, inode, cookie, place, waits })
    }

    /// Another open socket that is to stand where this one stood.
    ///
    /// # Errors
    /// As [`Socket::take`].
    pub(super) fn succeeded_by(&self, file: OwnedFd) -> Sys<Self> {
        Self::of(file, self.place)
    }

    /// Its own internet address, if it has one.
    pub fn own(&self) -> Option<Endpoint> {
        sys::local_name(self.file.as_fd()).ok().and_then(|name| address::own_endpoint(&name))
    }

    /// Its local address as an act would name it; unbound it is any address, port 0.
    pub fn local(&self) -> (IpAddr, u16) {
        self.own().map_or((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0), |own| (own.address, own.port))
    }

    /// As what leads to others.
    pub(super) fn leading(&self) -> Leading<'_> {
        Leading { file: self.file.as_fd(), seen: self.seen() }
    }

    /// Where it is.
    pub(super) fn seen(&self) -> Whereabouts {
        let (thread, number) = self.place;
        Whereabouts { cookie: self.cookie, inode: self.inode, thread, number }
    }

    /// Remembers it as this session's.
    pub fn note(&self, errand: &Errand<'_>) {
        errand.session.sockets.note(self.seen());
    }
}

/// The address of `length` bytes at `address`, copied once.
///
/// # Errors
/// EINVAL for an impossible length, EFAULT, and what the kernel says of an address that does not fit the socket.
pub fn name_at(errand: &Errand<'_>, address: u64, length: i32, kind: Kind, purpose: Purpose) -> Sys<Name> {
    let length = usize::try_from(length).ok().filter(|length| *length <= ADDRESS_BYTES_MAX).ok_or(Errno(libc::EINVAL))?;
    let mut bytes = vec![0_u8; length];
    errand.caller.read(address, &mut bytes)?;
    address::parse(&bytes, kind, purpose)
}

/// An act upon an internet address.
pub fn act(verb: Verb, protocol: Protocol, (address, port): (IpAddr, u16), to: Side) -> Observed {
    Observed::new(verb, Target::Net { protocol, address, port, to, host: None })
}

/// An act towards an internet address, with the name that led this session there.
pub(super) fn towards(errand: &Errand<'_>, verb: Verb, protocol: Protocol, place: (IpAddr, u16), to: Side) -> Observed {
    let bare = act(verb, protocol, place, to);
    let Some(resolver) = errand.session.resolver.as_ref().filter(|_| to == Side::Outside) else { return bare };
    let found = resolver.table.names(place.0);
    let named = |name: &Arc<str>| named(verb, protocol, place, to, name);
    match found.as_slice() {
        [] => bare,
        [name] => named(name),
        // Which of them its caller means cannot be known: whoever may go there by one of the names may go there.
        several => several.iter().map(named).min_by_key(|act| rank(errand, act)).unwrap_or(bare),
    }
}

/// An act towards an address that this name led to.
pub(super) fn named(verb: Verb, protocol: Protocol, (address, port): (IpAddr, u16), to: Side, name: &str) -> Observed {
    Observed::new(verb, Target::Net { protocol, address, port, to, host: Some(name.to_owned()) })
}

/// What policy says of an act by what is known, yeses for the session included; the mildest first.
fn rank(errand: &Errand<'_>, act: &Observed) -> u8 {
    match errand.session.line.would_say(errand.session, errand.call, act.clone()) {
        Says::Allow => 0,
        Says::Steer => 1,
        Says::Approve => 2,
        Says::Deny => 3,
    }
}

pub(super) fn says(errand: &Errand<'_>, act: &Observed) -> Says {
    errand.session.line.judge.first(&act.alone(), |_| Facts::default()).decision.decision
}

/// Whether what goes to this port asks for names, which the session answers.
pub(super) fn asks_for_names(errand: &Errand<'_>, port: u16) -> bool {
    port == NAMES && errand.session.resolver.is_some()
}

/// Whether it matters that an address is inside: what is outside would not simply be allowed, or would be a question for a name.
pub(super) fn is_told_apart(errand: &Errand<'_>, protocol: Protocol, place: (IpAddr, u16)) -> bool {
    if asks_for_names(errand, place.1) {
        return true;
    }
    let verb = if protocol == Protocol::Udp { Verb::NetSend } else { Verb::NetConnect };
    says(errand, &towards(errand, verb, protocol, place, Side::Outside)) != Says::Allow
}

/// What stops an act that was decided as inside.
pub(super) fn taken(verb: Verb, protocol: Protocol, place: (IpAddr, u16)) -> Stop {
    Stop::Refused {
        reached: act(verb, protocol, place, Side::Outside).into(),
        because: "another socket came to this port while the call was decided",
        errno: libc::EACCES,
    }
}

/// The transport a rule can name, or none: other protocols have no door.
pub fn carried(kind: Kind) -> Option<Protocol> {
    match (kind.domain, kind.style, kind.protocol) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP) => Some(Protocol::Tcp),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP) => Some(Protocol::Udp),
        _ => None,
    }
}

/// The transport a rule can name; any other is refused, recorded as `verb` at `place`.
///
/// # Errors
/// [`Stop::Refused`] with EPERM.
pub fn transport(kind: Kind, verb: Verb, place: (IpAddr, u16)) -> Result<Protocol, Stop> {
    carried(kind).ok_or_else(|| Stop::Refused {
        reached: act(verb, Protocol::Other, place, Side::Outside).into(),
        because: "only TCP and UDP have rules",
        errno: libc::EPERM,
    })
}

/// Ends a socket call; a refusal of the door's own that names a path is recorded as `act` says.
pub fn end(errand: &Errand<'_>, pending: Pending, result: Result<i64, Stop>, act: impl FnOnce(&[u8]) -> Observed) -> Answered {
    match result {
        Ok(value) => pending.value(value),
        Err(stop) => refusal::stopped(errand.session, pending, stop, act),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_protocols_have_a_door() {
        let tcp = Kind { domain: libc::AF_INET, style: libc::SOCK_STREAM, protocol: libc::IPPROTO_TCP };
        let udp = Kind { domain: libc::AF_INET6, style: libc::SOCK_DGRAM, protocol: libc::IPPROTO_UDP };
        assert_eq!(carried(tcp), Some(Protocol::Tcp));
        assert_eq!(carried(udp), Some(Protocol::Udp));
        assert_eq!(carried(Kind { protocol: 262, ..tcp }), None);
        assert_eq!(carried(Kind { protocol: libc::IPPROTO_ICMP, ..udp }), None);
    }
}
