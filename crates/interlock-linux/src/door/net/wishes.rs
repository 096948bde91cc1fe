//! How datagram sockets of the session are to share a port that they have not got yet.
//!
//! A send gives a socket a port as well, of the kernel's choice and without asking anybody, and it may choose one that a program outside shares. So what
//! a program says before its bind is kept here, and put into force with the bind (`joined`).

use super::shares::Shares;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Sockets remembered. Past it all are forgotten: they share with nobody.
const SOCKETS_MAX: usize = 4096;

/// By cookie.
#[derive(Default)]
pub(super) struct Wishes(Mutex<HashMap<u64, Shares>>);

impl Wishes {
    /// Remembers how a socket is to share.
    pub(super) fn note(&self, cookie: u64, shares: Shares) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SOCKETS_MAX {
            all.clear();
        }
        all.insert(cookie, shares);
    }

    /// What was remembered.
    pub(super) fn of(&self, cookie: u64) -> Option<Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&cookie).copied()
    }

    /// The socket has a port.
    pub(super) fn fulfil(&self, cookie: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&cookie);
    }
}
