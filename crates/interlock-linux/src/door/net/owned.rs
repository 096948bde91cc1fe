//! The abstract unix names that sockets of the session have: a socket that is held, and says itself that it has the name, is who is meant by it.
//!
//! In one network namespace a name is that of one socket of each type, as long as the socket lives. So nothing is looked up in a table of the
//! kernel's. What is not found here may still be the session's: then nobody knows. Left out: what follows from it (`abstracts`). Source: unix(7).

use super::whereabouts::Whereabouts;
use crate::sys::sockets as sys;
use crate::tree::members::Members;
use interlock_abi::address::Kind;
use std::collections::HashMap;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names remembered; past it, those whose socket is not where it was are forgotten, and if all are, new ones are not known.
const NAMES_MAX: usize = 4096;

/// By type of socket and address.
#[derive(Default)]
pub(super) struct Owned(Mutex<HashMap<(i32, Vec<u8>), Whereabouts>>);

impl Owned {
    /// Remembers the name of a socket, if it has an abstract one.
    pub(super) fn note(&self, socket: BorrowedFd<'_>, kind: Kind, seen: Whereabouts) {
        let Some(wire) = abstract_name(socket).filter(|_| kind.domain == libc::AF_UNIX) else { return };
        let key = (kind.style, wire);
        let mut all = self.all();
        if all.len() >= NAMES_MAX && !all.contains_key(&key) {
            all.retain(|_, seen| seen.at_hand().is_some());
        }
        if all.len() < NAMES_MAX {
            all.insert(key, seen);
        }
    }

    /// Whether what `from` reaches by this address is a socket of the session.
    pub(super) fn has(&self, (from, kind): (BorrowedFd<'_>, Kind), wire: &[u8], members: &Members) -> bool {
        let key = (kind.style, wire.to_vec());
        let Some(mut seen) = self.all().get(&key).copied() else { return false };
        let Some(held) = seen.find(members) else { return false };
        let is_near = || sys::namespace(held.as_fd()).is_ok_and(|there| sys::namespace(from).is_ok_and(|here| here == there));
        abstract_name(held.as_fd()).as_deref() == Some(wire) && is_near()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(i32, Vec<u8>), Whereabouts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket's address, if that is an abstract name: a family, a zero, and what follows.
fn abstract_name(socket: BorrowedFd<'_>) -> Option<Vec<u8>> {
    const FAMILY_BYTES: usize = size_of::<libc::sa_family_t>();
    sys::local_name(socket).ok().filter(|name| name.get(FAMILY_BYTES) == Some(&0))
}
