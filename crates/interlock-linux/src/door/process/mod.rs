//! The families of calls on processes: exec, signals, a process's own standing, System V objects.

pub mod exec;
pub mod expected;
pub mod ipc;
pub mod meant;
pub mod objects;
pub mod own;
pub mod replaced;
pub mod signal;
pub mod traced;
