//! The engine: what an Action is, what a policy says of it, and nothing else.
//!
//! Pure and total: no clock, file, socket, random source or unsafe code. All that is impure arrives as [`facts::Facts`].
//! `spec/action.md` and `spec/policy.md` are the normative texts.
#![forbid(unsafe_code)]

pub mod action;
pub mod beneath;
mod bytes;
mod command;
mod compile;
mod condition;
pub mod content;
pub mod decide;
pub mod decision;
pub mod digest;
pub mod excepted;
pub mod facts;
mod finding;
mod folding;
pub mod glob;
pub mod grant;
mod hearing;
pub mod host;
mod index;
pub mod instead;
pub mod json;
pub mod keys;
pub mod language;
pub mod named;
mod network;
pub mod pattern;
pub mod patterns;
pub mod peer_text;
pub mod plain;
pub mod plan;
pub mod policy;
mod resources;
mod rules;
mod samples;
mod selector;
mod statement;
mod statements;
pub mod steer;
mod table;
pub mod target;
pub mod verb;
mod voice;
mod wire;
