//! The door: each mediated call is observed, settled by the line, and enacted on behalf of its caller.
//!
//! `receive` takes calls and hands each to its family, which it reads off the table. What the families see by is `seen`; the families are in `file`,
//! `net` and `process`, one module each. `resolver` answers questions for names, `keys` is the
//! key agent.

pub mod act;
pub mod aloud;
pub mod answer;
pub mod backlog;
pub mod copies;
pub mod errand;
pub mod file;
pub mod handover;
pub mod keys;
pub mod missing;
pub mod mode;
pub mod naming;
pub mod net;
pub mod permission;
pub mod pool;
pub mod process;
pub mod receive;
pub mod refusal;
pub mod resolver;
pub mod restart;
pub mod seen;
pub mod session;
pub mod wait;
