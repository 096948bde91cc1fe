//! How long a question about a repository may take: no repository, however it was made, holds up who asks.
//!
//! Left out: the clock, which is the asker's.

/// Whether there is time left: asked before each step of a question.
pub type GoesOn<'g> = &'g dyn Fn() -> bool;
