//! The kernel's interface as bytes: what a caller leaves in its memory for a call, and what the kernel tells in texts and messages, read into values.
//!
//! Pure: nothing is asked of the kernel and nothing is decided. What cannot be read is an errno, as the kernel would give it, or nothing at all.
//! Every reader takes any bytes whatever (`tests/fuzz.rs`), since a caller chooses most of them.
#![forbid(unsafe_code)]

pub mod address;
pub mod ancillary;
pub mod dns;
pub mod errno;
mod field;
pub mod membership;
pub mod message;
pub mod netlink;
pub mod open;
pub mod script;
pub mod sock_diag;
pub mod status;
