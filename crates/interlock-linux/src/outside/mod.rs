//! How a running session is spoken to from outside: what `interlock run` says after the launch, and the two sockets at which it can be asked.

pub mod control;
pub mod faces;
