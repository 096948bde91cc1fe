//! The supervisor: the host plane's wall (Landlock, seccomp) and door (user notification), on Linux.
//!
//! `launch` builds the tree, `receive` takes notifications, `door` observes and enacts, `line` decides, asks and records.
//! unsafe code lives in `sys` only.
#![deny(unsafe_code)]

pub mod answer;
