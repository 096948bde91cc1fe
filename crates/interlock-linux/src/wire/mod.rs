//! What is said with `interlock run` (`spec/supervisor.md`): down to the supervisor, and up from it.

pub mod ending;
pub mod messages;
pub mod tally;
pub mod uplink;
