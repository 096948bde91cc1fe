//! The filter: one table of every system call, and the seccomp program that is emitted from it for what a session needs at the door.

pub mod listing;
pub mod need;
pub mod program;
pub mod table;
