//! The families of calls on sockets: connect, bind and listen, send; and whose the other end is.

mod ancillary;
pub mod attest;
pub mod bind;
pub mod connect;
pub mod control;
pub mod inside;
mod listeners;
pub mod netlink;
pub mod reach;
pub mod send;
pub mod sender;
pub mod socket;
pub mod sockets;
pub mod unix;
