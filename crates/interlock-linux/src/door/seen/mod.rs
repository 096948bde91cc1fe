//! What the door sees: who calls, which object a path means and under which names, and what this session has made.

pub mod caller;
pub mod ground;
pub mod history;
pub mod lost;
pub mod made;
pub mod mounts;
pub mod path_only;
pub mod place;
pub mod places;
pub mod procfs;
pub mod resolve;
pub mod terminals;
pub mod walk;
