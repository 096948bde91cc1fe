//! The supervisor: the host plane's wall (Landlock, seccomp) and door (user notification), on Linux.
//!
//! `start` builds the tree, `receive` takes notifications, `door` observes and enacts, `line` decides, asks and records.
//! unsafe code lives in `sys` only.
#![deny(unsafe_code)]

pub mod answer;
pub mod backlog;
pub mod capability;
mod clock;
pub mod command;
pub mod container;
pub mod control;
pub mod denials;
pub mod doctor;
pub mod door;
pub mod ending;
pub mod enforcement;
pub mod faces;
pub mod filter;
pub mod foreign;
pub mod guardian;
pub mod handover;
pub mod judge;
pub mod keepers;
pub mod later;
pub mod line;
pub mod listing;
pub mod made;
pub mod members;
pub mod messages;
pub mod mounts;
pub mod need;
pub mod own;
pub mod permission;
pub mod pool;
pub mod questions;
pub mod receive;
pub mod record;
pub mod rehearsal;
pub mod sentinel;
pub mod session;
pub mod start;
pub mod supervise;
pub mod sweep;
pub mod sys;
pub mod sysv;
pub mod table;
pub mod tally;
pub mod terminals;
pub mod uplink;
pub mod wall;
pub mod yama;
