//! The families of calls on sockets: connect, bind and listen, send; and whose the other end is.

mod abstracts;
pub mod attest;
pub mod bind;
mod bound;
pub mod connect;
pub mod control;
mod exchange;
mod firsts;
mod groups;
pub mod inside;
mod joined;
mod kept;
mod late;
pub mod options;
mod owned;
pub mod reach;
pub mod send;
pub mod sender;
mod servers;
mod shares;
pub mod shutdown;
pub mod socket;
pub mod unix;
mod whereabouts;
mod wishes;
