//! The supervisor: the host plane's wall (Landlock, seccomp) and door (user notification), on Linux.
//!
//! `supervise` takes one session from launch to end. `start` builds its `tree` behind wall and `filter`; the `door` receives calls, observes and enacts
//! them; the `line` decides, asks and records; on the `wire` is what is said with `interlock run`; `outside` is how a running session is spoken to;
//! `later` is what a session leaves behind; `machine` and `doctor` say what there is to stand on. unsafe code lives in `sys` only.
#![deny(unsafe_code)]

pub mod doctor;
mod door;
pub mod filter;
mod journal;
pub mod later;
mod line;
mod machine;
mod outside;
mod start;
pub mod supervise;
pub mod sys;
mod tree;
mod wire;
