//! A call is answered around its `Pending`.

use crate::door::answer::{Answered, Calls};
use crate::door::session::Session;

#[cfg(misuse)]
fn through_the_listener(calls: &Calls, call: u64) {
    let _went_on = calls.listener.go_on(call); //~ E0616 Calls
}

#[cfg(misuse)]
fn through_the_session(session: &Session, call: u64) {
    let _went_on = session.calls.watch().go_on(call); //~ E0599 Watch
}

#[cfg(not(misuse))]
fn rightly(session: &Session) -> std::io::Result<Option<Answered>> {
    let received = session.calls.receive()?;
    Ok(received.filter(|pending| session.calls.watch().waits(pending.call().id)).map(|pending| pending.errno(libc::EACCES)))
}
