//! Multicast groups: a socket let into one, on its caller's behalf.
//!
//! Nothing is sent by the call, but the kernel tells the network that this machine wants what is sent to the group, and the group's address is the
//! caller's to choose: it leaves the machine, and routers then lead that traffic here. So RULE: joining a group is decided as sending to it, port 0.
//! Left out: leaving one, and sources of one that was joined. Source: setsockopt(2), ip(7), ipv6(7), igmp and mld.

use super::socket::{self, Socket};
use crate::door::errand::Errand;
use crate::door::seen::caller::Stop;
use crate::line::Enactor;
use crate::sys::errno::{Errno, Sys};
use crate::sys::sockets as sys;
use interlock_abi::membership::{self, VALUE_BYTES_MAX};
use interlock_core::action::{Protocol, Side, Verb};
use std::os::fd::AsFd as _;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Joins the group that the call names.
pub(super) fn join(errand: &Errand<'_>, socket: &Socket) -> Result<i64, Stop> {
    let (level, option, value) = (errand.caller.int(1), errand.caller.int(2), value(errand)?);
    errand.caller.confirm()?;
    let group = membership::group(level, option, &value)?;
    let act = socket::act(Verb::NetSend, Protocol::Udp, (group, 0), Side::Outside);
    errand.enact_as_caller(&ENACTOR, vec![act], |_| Ok(sys::set_bytes(socket.as_fd(), level, option, &value).map_err(Errno::from)?))?;
    Ok(0)
}

/// One copy of what the option is to be: what is judged is what the kernel is given.
fn value(errand: &Errand<'_>) -> Sys<Vec<u8>> {
    let length = usize::try_from(errand.caller.int(4)).map_err(|_| Errno(libc::EINVAL))?;
    let mut bytes = vec![0; length.min(VALUE_BYTES_MAX)];
    errand.caller.read(errand.caller.argument(3), &mut bytes)?;
    Ok(bytes)
}
