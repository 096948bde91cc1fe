//! The engine: what an Action is, what a policy says of it, and nothing else.
//!
//! Pure and total: no clock, file, socket, random source or unsafe code. All that is impure arrives as [`facts::Facts`].
//! `spec/action.md` and `spec/policy.md` are the normative texts.
#![forbid(unsafe_code)]

pub mod action;
