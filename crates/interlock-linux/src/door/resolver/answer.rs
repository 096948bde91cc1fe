//! Answering a session's questions for names: threads of the supervisor that read them in the helper's network.
//!
//! A name that policy could let nobody reach is not asked for outside: it gets an address that stands for it, and the connect is refused with the reason, which
//! programs print. Records that are no addresses are not there. What is answered was recorded before, once a name. INVARIANT: whatever goes wrong is a
//! failure of the server (SERVFAIL), never an answer from elsewhere.

use super::Resolver;
use super::upstream;
use crate::door::session::Session;
use crate::line::now_us;
use crate::sys::{descriptors, network};
use interlock_abi::dns::{Code, Family, Query, Unread};
use interlock_core::decision::RecordClass;
use interlock_core::{host, named};
use serde_json::json;
use std::io::Write as _;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Questions that are answered at once; more wait in the socket.
const THREADS: usize = 16;
/// Connections at once, and how long each may be silent.
const STREAMS_MAX: usize = 64;
const SILENCE: Duration = Duration::from_secs(10);
/// After an error of a socket that is the session's own.
const PAUSE: Duration = Duration::from_millis(10);
/// How long the first question is waited for at one time, in milliseconds.
const WAIT_MS: i32 = 60_000;
/// The longest question by UDP: what is longer is cut and then none.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// How long a program may rely on an answer that is the session's own, in seconds.
const OWN_SECONDS: u32 = 5;
/// A browser that is told so leaves names to the machine (support.mozilla.org, "canary domain").
const CANARY: &str = "use-application-dns.net";

/// Starts to answer. Most sessions ask for nothing: until the first question one thread waits for it.
///
/// # Errors
/// No thread can be started, or the sockets are none.
pub fn begin(session: &Arc<Session>) -> std::io::Result<()> {
    let Some(resolver) = &session.resolver else { return Ok(()) };
    let (listener, session) = (TcpListener::from(resolver.maker.streams.try_clone()?), Arc::clone(session));
    std::thread::Builder::new().name("resolver".into()).spawn(move || first(listener, &session)).map(drop)
}

/// Waits for the first question, and has all that come answered from there on.
fn first(listener: TcpListener, session: &Arc<Session>) {
    let Some(resolver) = &session.resolver else { return };
    while descriptors::wait_readable(&[resolver.maker.datagrams.as_fd(), listener.as_fd()], WAIT_MS).is_empty() {}
    let streaming = Arc::clone(session);
    let _fewer = std::thread::Builder::new().name("resolver".into()).spawn(move || streams(&listener, &streaming));
    for _ in 1..THREADS {
        let session = Arc::clone(session);
        // With fewer of them questions wait longer.
        let _fewer = std::thread::Builder::new().name("resolver".into()).spawn(move || datagrams(&session));
    }
    datagrams(session);
}

fn datagrams(session: &Session) {
    let Some(resolver) = &session.resolver else { return };
    loop {
        let Ok(asked) = network::receive(resolver.maker.datagrams.as_fd(), DATAGRAM_BYTES_MAX) else {
            std::thread::sleep(PAUSE);
            continue;
        };
        if let Some(said) = said(session, resolver, &asked.data, true) {
            // Who asked may be gone.
            let _sent = crate::sys::sockets::send(
                resolver.maker.datagrams.as_fd(),
                &asked.from,
                &said,
                &network::turned(&asked.control),
                libc::MSG_NOSIGNAL,
            );
        }
    }
}

fn streams(listener: &TcpListener, session: &Arc<Session>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            std::thread::sleep(PAUSE);
            continue;
        };
        if open.fetch_add(1, Ordering::AcqRel) >= STREAMS_MAX {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (session, counted) = (Arc::clone(session), Arc::clone(&open));
        let serve = move || {
            converse(stream, &session);
            counted.fetch_sub(1, Ordering::AcqRel);
        };
        if std::thread::Builder::new().name("resolver".into()).spawn(serve).is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Query after question until the client leaves.
fn converse(mut stream: TcpStream, session: &Session) {
    let (Some(resolver), Ok(())) = (&session.resolver, stream.set_read_timeout(Some(SILENCE))) else { return };
    let _waits = stream.set_write_timeout(Some(SILENCE));
    while let Some(asked) = upstream::message(&mut stream) {
        let Some(said) = said(session, resolver, &asked, false) else { return };
        let length = u16::try_from(said.len()).unwrap_or(0).to_be_bytes();
        if stream.write_all(&[&length, said.as_slice()].concat()).is_err() {
            return;
        }
    }
}

/// What is sent to whoever sent this message.
fn said(session: &Session, resolver: &Resolver, message: &[u8], limited: bool) -> Option<Vec<u8>> {
    let question = match Query::read(message) {
        Ok(question) => question,
        Err(Unread::Said(said)) => return Some(said),
        Err(Unread::Silent) => return None,
    };
    let Reply { code, addresses, seconds } = reply(session, resolver, &question);
    Some(question.answered(code, &addresses, seconds, limited))
}

/// What is answered.
struct Reply {
    code: Code,
    addresses: Vec<IpAddr>,
    seconds: u32,
}

impl Reply {
    fn without(code: Code) -> Self {
        Self { code, addresses: Vec::new(), seconds: OWN_SECONDS }
    }

    fn own(addresses: Vec<IpAddr>) -> Self {
        Self { code: Code::NoError, addresses, seconds: OWN_SECONDS }
    }
}

fn reply(session: &Session, resolver: &Resolver, question: &Query) -> Reply {
    // What is no name of a host leads nowhere: a spelling of an address, a label that is none.
    let Ok(name) = host::canonical(&question.name) else { return Reply::without(Code::NoSuchName) };
    if name == CANARY {
        return Reply::without(Code::NoSuchName);
    }
    let Some(family) = question.family else { return Reply::without(Code::NoError) };
    if let Some(known) = resolver.machine.hosts.get(local(&name)) {
        return Reply::own(known.iter().copied().filter(|address| family.has(*address)).collect());
    }
    if named::may_be_asked(session.line.judge.policy(), &name) || session.line.grants.opens(&name, now_us() / 1000) {
        return asked(session, resolver, &name, family);
    }
    if !is_recorded(session, &name, false) {
        return Reply::without(Code::ServerFailure);
    }
    stood_in_for(resolver, &name, family)
}

/// A name below `localhost` is this machine (RFC 6761 section 6.3).
fn local(name: &str) -> &str {
    if name.ends_with(".localhost") { "localhost" } else { name }
}

fn asked(session: &Session, resolver: &Resolver, name: &str, family: Family) -> Reply {
    if !is_recorded(session, name, true) {
        return Reply::without(Code::ServerFailure);
    }
    let is_sessions = |server| session.sockets.could_be_asked(server);
    let found = upstream::ask(&resolver.machine.servers(), is_sessions, name, family);
    let Some(answer) = found else { return Reply::without(Code::ServerFailure) };
    // Before the program has them.
    resolver.table.answer(name, &answer.addresses);
    Reply { code: answer.code, addresses: answer.addresses, seconds: answer.seconds }
}

/// What lies in a search domain may be a short name with that behind it, of which the client tries the next form if there is none such.
fn stood_in_for(resolver: &Resolver, name: &str, family: Family) -> Reply {
    if resolver.machine.servers().searches(name) {
        return Reply::without(Code::NoSuchName);
    }
    match (family, resolver.table.stand_in(name)) {
        (Family::Four, Some(address)) => Reply::own(vec![address.into()]),
        (Family::Six, Some(_)) => Reply::without(Code::NoError),
        (_, None) => Reply::without(Code::ServerFailure),
    }
}

/// Records that a name is asked for: the first time, and the first time that it is asked for outside. Whether that could be done.
pub fn is_recorded(session: &Session, name: &str, outside: bool) -> bool {
    !session.resolver.as_ref().is_some_and(|resolver| resolver.table.is_first(name, outside))
        || session.line.record(RecordClass::Ordered, json!({"type": "name.asked", "host": name, "outside": outside})).is_ok()
}
