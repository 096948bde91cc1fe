//! The sockets of a session that came to a port when nobody but the session was there.
//!
//! Left out: whether they are still there, and what follows from that (`joined`).

use interlock_core::action::Protocol;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Sockets remembered for one port: the last ones.
const SOCKETS_MAX: usize = 64;

/// By protocol (whether it is UDP) and port.
#[derive(Default)]
pub(super) struct Firsts(Mutex<HashMap<(bool, u16), Vec<u64>>>);

impl Firsts {
    /// Their cookies.
    pub(super) fn at(&self, protocol: Protocol, port: u16) -> Vec<u64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(protocol == Protocol::Udp, port)).cloned().unwrap_or_default()
    }

    /// Remembers one more.
    pub(super) fn note(&self, protocol: Protocol, port: u16, cookie: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cookies = all.entry((protocol == Protocol::Udp, port)).or_default();
        if cookies.len() >= SOCKETS_MAX {
            cookies.remove(0);
        }
        cookies.push(cookie);
    }
}
