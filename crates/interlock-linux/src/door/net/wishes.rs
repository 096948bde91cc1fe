//! How sockets of the session are to share their port, as long as they do not: those that have none yet, and those that have it alone.
//!
//! A send gives a datagram socket a port as well, of the kernel's choice and without asking anybody, and it may choose one that a program outside
//! shares. So what a program says before its bind is kept here until then. And whoever shares a port lets programs outside in. So a socket has its
//! port alone until another of the session wants it too, and what it said is kept here until then (`joined`).

use super::shares::Shares;
use super::whereabouts::Whereabouts;
use interlock_core::action::Protocol;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sockets remembered. Past it, those that are not where they were are forgotten, and if all are, all of them: they share with nobody.
const SOCKETS_MAX: usize = 4096;

/// A port that a socket has, and at which address.
pub(super) type Place = (Protocol, (IpAddr, u16));

/// What a socket said.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    pub(super) seen: Whereabouts,
    pub(super) shares: Shares,
    /// What it has for itself.
    pub(super) place: Option<Place>,
}

/// By cookie.
#[derive(Default)]
pub(super) struct Wishes(Mutex<HashMap<u64, Wish>>);

impl Wishes {
    /// Remembers how a socket is to share.
    pub(super) fn note(&self, wish: Wish) {
        let mut all = self.all();
        if all.len() >= SOCKETS_MAX && !all.contains_key(&wish.seen.cookie) {
            all.retain(|_, wish| wish.seen.at_hand().is_some());
            if all.len() >= SOCKETS_MAX {
                all.clear();
            }
        }
        all.insert(wish.seen.cookie, wish);
    }

    /// What was remembered.
    pub(super) fn of(&self, cookie: u64) -> Option<Wish> {
        self.all().get(&cookie).copied()
    }

    /// Those that have a port of this number for themselves.
    pub(super) fn at(&self, protocol: Protocol, port: u16) -> Vec<Wish> {
        let has_it = |wish: &&Wish| wish.place.is_some_and(|(theirs, (_, number))| (theirs, number) == (protocol, port));
        self.all().values().filter(has_it).copied().collect()
    }

    /// It is in force, or given up.
    pub(super) fn forget(&self, cookie: u64) {
        self.all().remove(&cookie);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Wish>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
