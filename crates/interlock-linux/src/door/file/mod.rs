//! The families of calls on files: opens, names made, moved and removed, metadata.

pub mod attributes;
pub mod before;
pub mod below;
pub mod checkout;
pub mod copy;
pub mod descriptors;
pub mod guarded;
pub mod index;
pub mod installed;
pub mod links;
pub mod loss;
mod masked;
pub mod metadata;
pub mod moved;
pub mod names;
pub mod object;
pub mod open;
mod raw;
pub mod rename;
mod shut;
pub mod terminal;
pub mod times;
pub mod trash;
pub mod view;
pub mod withdrawn;
