//! Raw system calls: the only place with unsafe code. Each function is a thin, typed face of one kernel facility.
//!
//! What is decided with the results belongs to the callers; nothing here knows a policy.
#![allow(unsafe_code)]

pub(crate) mod apart;
pub(crate) mod capabilities;
pub(crate) mod children;
pub(crate) mod copies;
pub(crate) mod credentials;
pub mod descriptors;
pub(crate) mod errno;
pub(crate) mod files;
pub(crate) mod handles;
pub(crate) mod landlock;
pub(crate) mod memory;
pub(crate) mod mounting;
pub(crate) mod network;
pub mod notify;
pub mod process;
pub(crate) mod ptrace;
pub(crate) mod raised;
pub(crate) mod scope;
pub(crate) mod sockets;
pub(crate) mod sysv;
pub(crate) mod threads;
pub(crate) mod witness;

use std::io;

/// Turns the C convention (-1 and errno) into a `Result`.
///
/// # Errors
/// The calling thread's errno.
pub(crate) fn check(returned: i64) -> io::Result<i64> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// The errno of an error of this machine; EIO when it carries none.
#[must_use]
pub fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}
