//! Which sockets are this session's, and whose would answer at an address: the `to` of a network act.
//!
//! Keyed on the socket's cookie, which the kernel gives to one socket and to no other, and looked up among the sockets that are bound at the moment of
//! the act: a closed and reused port is not ours any more. Leaves out what follows from it (`connect`, `send`). Source: `bound`.
//!
//! INVARIANT: inside means that *every* bound socket that could answer is this session's, and that the door holds each of them: a neighbour on a
//! wildcard, on the other family or behind SO_REUSEPORT makes it outside, and so does a socket that is not found in the session. Held, it keeps its
//! port until the act is done, whoever closes it meanwhile. What cannot be read, or not as a whole, is outside.

use super::bound;
use super::firsts::Firsts;
use super::kept::Kept;
use super::owned::Owned;
use super::whereabouts::{Answerer, Whereabouts};
use super::wishes::Wishes;
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use crate::tree::members::Members;
use interlock_core::action::{Protocol, Side};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sockets remembered; past it, those that are not where they were are forgotten, and if all are, new ones are outside.
const SOCKETS_MAX: usize = 16_384;
/// SO_BINDTOIFINDEX (5.1).
const DEVICE: i32 = 62;
const ANY_DEVICE: i32 = 0;
/// The kernel makes it first in every network namespace (LOOPBACK_IFINDEX).
const LOOPBACK_DEVICE: i32 = 1;

/// The sockets that this session has bound.
pub struct Sockets {
    known: Mutex<HashMap<u64, Whereabouts>>,
    /// The network namespace in which the session lives.
    namespace: Option<u64>,
    /// Held while a port is taken, or may be shared with others or no more.
    sharing: Mutex<()>,
    /// Those that the door relies on longer than it takes to decide.
    pub(super) kept: Kept,
    /// Those that came to a port when the session had it for itself.
    pub(super) firsts: Firsts,
    /// How they are to share their port, as soon as that is put into force.
    pub(super) wishes: Wishes,
    /// Those that have an abstract unix name.
    pub(super) owned: Owned,
}

/// Who would answer at an address.
#[derive(Debug)]
pub(super) enum Answering {
    /// No socket of this machine: a TCP connect would be refused.
    Nobody,
    /// Sockets of this session and no others, held.
    Inside(Vec<Answerer>),
    /// Somebody else, or it cannot be told.
    Outside,
}

impl Answering {
    /// The side an Action says: nobody is not of this session.
    pub(super) fn side(&self) -> Side {
        if matches!(self, Self::Inside(_)) { Side::Inside } else { Side::Outside }
    }
}

impl Default for Sockets {
    fn default() -> Self {
        let own = sys::pair().and_then(|(one, _)| sys::namespace(one.as_fd()));
        Self {
            known: Mutex::default(),
            namespace: own.ok(),
            sharing: Mutex::default(),
            kept: Kept::default(),
            firsts: Firsts::default(),
            wishes: Wishes::default(),
            owned: Owned::default(),
        }
    }
}

impl Sockets {
    /// Remembers a socket of this session.
    pub(super) fn note(&self, seen: Whereabouts) {
        let mut known = self.known();
        if known.len() >= SOCKETS_MAX && !known.contains_key(&seen.cookie) {
            known.retain(|_, seen| seen.at_hand().is_some());
        }
        if known.len() < SOCKETS_MAX {
            known.insert(seen.cookie, seen);
        }
    }

    /// Whether a socket was remembered as this session's.
    pub(super) fn has_noted(&self, cookie: u64) -> bool {
        self.known().contains_key(&cookie)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Whereabouts>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held, nobody of the session takes a port, or shares one.
    pub(super) fn sharing(&self) -> MutexGuard<'_, ()> {
        self.sharing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who answers at `address` and `port`, as `from` would reach it. Only addresses of this machine can be inside.
    pub(super) fn answering(&self, from: BorrowedFd<'_>, members: &Members, protocol: Protocol, address: IpAddr, port: u16) -> Answering {
        if !self.stays_here(from, address) {
            return Answering::Outside;
        }
        let Some(bound) = bound::at(protocol, port) else { return Answering::Outside };
        let could: Vec<u64> = bound.iter().filter(|bound| bound.answers(address)).map(|bound| bound.cookie).collect();
        if could.is_empty() {
            return Answering::Nobody;
        }
        could.into_iter().map(|cookie| self.hold(cookie, members)).collect::<Option<Vec<_>>>().map_or(Answering::Outside, Answering::Inside)
    }

    /// Whether what `from` sends there arrives at this machine, in this session's network. A socket may come from another one, and one that is bound to
    /// a device goes out by that, even to a loopback address. Nobody binds one so in a session, but it may be handed to one.
    fn stays_here(&self, from: BorrowedFd<'_>, address: IpAddr) -> bool {
        let here = self.namespace.is_some() && sys::namespace(from).ok() == self.namespace;
        let led = || sys::option(from, libc::SOL_SOCKET, DEVICE).map_or(true, |device| ![ANY_DEVICE, LOOPBACK_DEVICE].contains(&device));
        here && (address.is_loopback() || reaches_itself(address)) && !led()
    }

    /// Whether nobody but this machine reaches a socket, whatever its address: the loopback device of the session's network is all it has.
    pub(super) fn keeps_to_this_machine(&self, socket: BorrowedFd<'_>) -> bool {
        let here = self.namespace.is_some() && sys::namespace(socket).ok() == self.namespace;
        here && sys::option(socket, libc::SOL_SOCKET, DEVICE).is_ok_and(|device| device == LOOPBACK_DEVICE)
    }

    /// Has nobody but this machine reach a socket.
    ///
    /// # Errors
    /// EPERM where it has another device already, or is of another network.
    pub(super) fn keep_to_this_machine(&self, socket: BorrowedFd<'_>) -> Sys<()> {
        // Whoever has no privilege may not even say the same twice.
        if !self.keeps_to_this_machine(socket) {
            sys::set_option(socket, libc::SOL_SOCKET, DEVICE, LOOPBACK_DEVICE).map_err(Errno::from)?;
        }
        if self.keeps_to_this_machine(socket) { Ok(()) } else { Err(Errno(libc::EPERM)) }
    }

    /// Not while it is looked for in the tree: others may ask meanwhile.
    pub(super) fn hold(&self, cookie: u64, members: &Members) -> Option<Answerer> {
        let mut seen = self.known().get(&cookie).copied()?;
        let file = seen.find(members)?;
        self.known().insert(cookie, seen);
        Some(Answerer { file, seen })
    }

    /// Whether nobody but the `held` would answer there now.
    pub(super) fn still(held: &[Answerer], protocol: Protocol, address: IpAddr, port: u16) -> bool {
        let is_held = |cookie| held.iter().any(|answerer| answerer.seen.cookie == cookie);
        let bound = bound::at(protocol, port).unwrap_or_default();
        let mut could = bound.iter().filter(|bound| bound.answers(address)).peekable();
        could.peek().is_some() && could.all(|bound| is_held(bound.cookie))
    }
}

/// Whether what is sent to `address` arrives at this machine: then, and only then, the kernel chooses the address itself as the source.
pub fn reaches_itself(address: IpAddr) -> bool {
    source_towards(address) == Some(address)
}

/// The address that the kernel chooses to send from to `address`. A datagram socket that is not connected yet asks the routing table without a packet
/// being sent.
pub(super) fn source_towards(address: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // The port is of no matter to a route; 9 is discard's.
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((address, 9)).and_then(|()| socket.local_addr()));
    asked.ok().map(|own| own.ip())
}
