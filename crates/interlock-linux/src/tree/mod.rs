//! A session's processes: the command and what puts it behind wall and filter, who belongs to its tree, who holds the tree, and how it ends.

pub mod command;
pub mod ending;
pub mod failed;
pub mod guardian;
pub mod keepers;
pub mod members;
pub mod passed;
pub mod rehearsal;
pub mod sentinel;
pub(crate) mod steps;
pub mod sweep;
pub mod wall;
