//! The door: each mediated call is observed, settled by the line, and enacted on behalf of its caller.
//!
//! One module a family of calls. Which of them a call belongs to, `receive` reads off the table.

mod ancillary;
pub mod attest;
pub mod attributes;
pub mod below;
pub mod bind;
pub mod caller;
pub mod connect;
pub mod control;
pub mod descriptors;
pub mod errand;
pub mod exec;
pub mod ground;
pub mod inside;
pub mod links;
mod listeners;
pub mod loss;
pub mod lost;
pub mod meant;
pub mod metadata;
pub mod names;
pub mod netlink;
pub mod open;
pub mod place;
pub mod procfs;
pub mod refusal;
pub mod rename;
pub mod request;
pub mod resolve;
pub mod restart;
pub mod script;
pub mod send;
pub mod sender;
pub mod signal;
pub mod socket;
pub mod sockets;
pub mod sysv;
pub mod terminal;
pub mod times;
pub mod trace;
pub mod unix;
pub mod walk;
