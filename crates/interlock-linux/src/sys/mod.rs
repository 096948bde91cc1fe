//! Raw system calls: the only place with unsafe code. Each function is a thin, typed face of one kernel facility.
//!
//! What is decided with the results belongs to the callers; nothing here knows a policy.
#![allow(unsafe_code)]

pub mod apart;
pub mod capabilities;
pub mod children;
pub mod copies;
pub mod credentials;
pub mod descriptors;
pub mod errno;
pub mod files;
pub mod handles;
pub mod landlock;
pub mod memory;
pub mod notify;
pub mod process;
pub mod ptrace;
pub mod raised;
pub mod scope;
pub mod sockets;
pub mod sysv;
pub mod threads;
pub mod witness;

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
