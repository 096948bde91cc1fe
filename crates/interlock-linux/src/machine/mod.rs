//! The machine under a session: which of its mechanisms work, what confinement there is already, and words for what is missing.

pub mod capability;
pub mod container;
pub mod enforcement;
pub mod foreign;
pub mod yama;
