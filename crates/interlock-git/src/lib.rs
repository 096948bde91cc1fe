//! What a git repository had at a path, in commits that are known by their ids.
//!
//! Every object is hashed before it is believed, so whoever writes to the repository afterwards can take objects away and put none in. Nothing
//! is run, no configuration is read, and everything read is bounded. Left out: reference tables, of which nothing is known here, and the index. Source: gitrepository-layout(5), gitformat-pack(5).
#![forbid(unsafe_code)]

mod anchors;
mod difference;
mod file;
mod id;
mod object;
mod pack;
mod patience;
mod revision;
mod store;
mod tree;

pub use anchors::Anchors;
pub use difference::brought;
pub use id::{Format, Id};
pub use patience::GoesOn;
pub use revision::Revisions;
pub use store::Store;
pub use tree::{Entry, Past, has_file, has_link};
