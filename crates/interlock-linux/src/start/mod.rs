//! The start: a way of four states, [`Forked`] → [`Listening`] → [`Rehearsed`] → [`Running`]. Each owns what exists in it and is consumed by the one
//! step that leads on, so an illegal order is a method that is not there. Only a tree that was rehearsed can be run.
//!
//! A step that fails drops its state, and with it ends what that state owned (`tree`). What needs a process with one thread (wall, capabilities, fork)
//! comes first, since ledger and receivers start theirs. The same way as the command's own process goes it is `tree::command`.

mod enforced;
mod forked;
mod listening;
mod opening;
mod places;
mod rehearsed;
mod running;
mod tree;

pub use crate::tree::failed::Failed;
pub use forked::Forked;
#[allow(unused_imports, reason = "what must not compile with them is compiled in tests/laws/misuse")]
pub use {listening::Listening, rehearsed::Rehearsed, running::Running};
