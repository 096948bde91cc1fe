//! A connection to a name that nobody was to ask for before somebody said yes: asked for then, and judged once more with the address that it leads to.
//!
//! Left out: which names those are (`resolver`). INVARIANT: no packet goes to an address that stands for a name, and the name that is asked for is the one that the
//! person saw.

use super::socket::{self, Socket};
use crate::door::errand::Errand;
use crate::door::resolver::{Resolver, answer, upstream};
use crate::door::seen::caller::Stop;
use crate::line::{Enactor, Observed};
use crate::sys::errno::Errno;
use interlock_abi::address::Endpoint;
use interlock_abi::dns::Family;
use interlock_core::action::{Protocol, Side, Verb};
use interlock_core::decision::{RecordClass, Says};
use serde_json::json;
use std::net::IpAddr;

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Where a connection goes that was let through: to its address, or to where the name leads that the address stands for. `said`: by what it was let through.
pub(super) fn led(errand: &Errand<'_>, socket: &Socket, endpoint: Endpoint, said: Says) -> Result<Endpoint, Stop> {
    let Some(resolver) = &errand.session.resolver else { return Ok(endpoint) };
    let Some(name) = resolver.table.stood_for(endpoint.address) else { return Ok(endpoint) };
    if socket::carried(socket.kind) != Some(Protocol::Tcp) {
        // Nobody was asked for the name, and clients go on by TCP.
        return Err(Errno(libc::ENETUNREACH).into());
    }
    let address = asked(errand, resolver, &name)?;
    let (place, endpoint) = ((address, endpoint.port), endpoint.at(address));
    let act = socket::named(Verb::NetConnect, Protocol::Tcp, place, Side::Outside, &name);
    match (socket::says(errand, &act), said) {
        // What stands beside the question stands after the yes.
        (Says::Approve, Says::Approve) if errand.session.line.after_a_yes(errand.session, errand.call, act.clone()) != Says::Allow => {
            Err(Stop::Refused {
                reached: act.into(),
                because: "another rule speaks of the address that the name leads to, and a yes lifts none",
                errno: libc::EACCES,
            })
        }
        // The yes was to the name, and to a public address: nobody was asked about another.
        (Says::Approve, Says::Approve) if interlock_core::host::is_public(address) => {
            let led = json!({"type": "name.led", "host": &*name, "address": address.to_string(), "port": endpoint.port});
            errand.session.line.record(RecordClass::Ordered, led).map_err(|_| Errno(libc::EACCES))?;
            Ok(endpoint)
        }
        (Says::Approve, Says::Approve) => Err(Stop::Refused {
            reached: act.into(),
            because: "the name leads to a private address, and nobody was asked about that; a rule with the host and `private: true` allows it",
            errno: libc::EACCES,
        }),
        _ => {
            errand.settle(&ENACTOR, vec![act])?.done(0);
            Ok(endpoint)
        }
    }
}

/// Whether an act sends something to an address that stands for a name and would not be denied. Nothing is there, so it is not asked about.
pub(super) fn is_unsendable(errand: &Errand<'_>, act: &Observed, address: IpAddr) -> bool {
    let stands_in = |resolver: &Resolver| resolver.table.stood_for(address).is_some();
    errand.session.resolver.as_ref().is_some_and(stands_in) && socket::says(errand, act) != Says::Deny
}

/// The first address of a name.
fn asked(errand: &Errand<'_>, resolver: &Resolver, name: &str) -> Result<IpAddr, Stop> {
    if !answer::is_recorded(errand.session, name, true) {
        return Err(Errno(libc::EACCES).into());
    }
    let is_sessions = |server| errand.session.sockets.could_be_asked(server);
    let found = errand.blocking(|| Ok(upstream::ask(&resolver.machine.servers(), is_sessions, name, Family::Four)))?;
    let address = found.and_then(|answer| answer.addresses.first().copied()).ok_or(Errno(libc::EHOSTUNREACH))?;
    resolver.table.answer(name, &[address]);
    Ok(address)
}
