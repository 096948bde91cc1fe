//! Unix sockets: whose they are, connecting to the object that was judged, binding a name in the directory that was judged.
//!
//! The peer of a connection sees the supervisor's process id and user (SO_PEERCRED), not the caller's: a caller with other ids than the
//! supervisor's own is therefore refused, or its peer would take it for more than it is. A message says whose it is (`sender`), where the supervisor
//! may say so. Source: unix(7), unix_sock behaviour of Linux.

use super::reach::reach;
use super::sender;
use super::socket::Socket;
use crate::door::act::inode;
use crate::door::errand::Errand;
use crate::door::file::before;
use crate::door::file::moved::{MOVED, afresh};
use crate::door::seen::caller::{Reached, Stop};
use crate::door::seen::place::{self, Found, Place};
use crate::door::seen::resolve::{self, Last, Name, Object, Path};
use crate::line::{Enactor, Observed};
use crate::sys::errno::{Errno, Sys};
use crate::sys::witness::Witness;
use crate::sys::{apart, credentials, files, landlock, process, sockets as sys};
use interlock_abi::address::{self, Purpose};
use interlock_core::action::{Bytes, Side, Target, Verb};
use interlock_core::facts::Origin;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::Ordering;

/// Landlock's right to make a socket in a directory.
const MAKE_SOCKET: u64 = 1 << 9;

/// Services that answer names besides the session: a C library that finds nobody there asks by port 53, and it is routine that it tries.
const ANSWER_NAMES: [&[u8]; 4] = [
    b"/run/systemd/resolve/io.systemd.Resolve",
    b"/run/systemd/resolve/io.systemd.Resolve.Monitor",
    b"/run/nscd/socket",
    b"/run/avahi-daemon/socket",
];

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Answers a connect to a path.
pub fn connect(errand: &Errand<'_>, socket: &Socket, text: &[u8]) -> Result<i64, Stop> {
    let wire = path(errand, text, Purpose::Connect)?;
    let connect = || reach(errand, socket, &wire.bytes);
    match &errand.session.keys {
        Some(agent) if wire.is_agent => {
            if !agent.receive(errand.caller.process()?, connect)? {
                errand.session.line.refuse_quietly(Verb::KeyUse, "too many connections to the key agent");
            }
        }
        _ => connect()?,
    }
    Ok(0)
}

/// An address that leads to the judged object and nowhere else, as long as it is held.
pub struct Held {
    /// What the kernel is given.
    pub bytes: Vec<u8>,
    /// Whether it is the session's key agent.
    is_agent: bool,
    _object: Object,
}

/// Judges a unix socket by path, and gives an address for exactly that object: no name is resolved again.
pub fn path(errand: &Errand<'_>, text: &[u8], purpose: Purpose) -> Result<Held, Stop> {
    let wanted = Path { directory: libc::AT_FDCWD, text, last: Last::Follow, resolve: 0 };
    // Held before: who changed its ids cannot be looked into with its own.
    let start = resolve::held_start(&errand.caller, libc::AT_FDCWD, text)?;
    let object = errand.as_caller(|| resolve::object_from(&errand.caller, start.as_fd(), &wanted))?;
    let name = match &object.name {
        Name::Path(name) if object.stat.kind() == libc::S_IFSOCK => name.clone(),
        _ => return Err(Errno(libc::ECONNREFUSED).into()),
    };
    let magic = files::magic(object.file.as_fd()).absolute();
    let bytes = address::unix_wire(magic.as_bytes()).ok_or(Errno(libc::EINVAL))?;
    if name == errand.session.inside.as_os_str().as_bytes() {
        return Ok(Held { bytes, is_agent: false, _object: object });
    }
    if purpose == Purpose::Connect && errand.session.keys.as_ref().is_some_and(|agent| agent.is_at(&name)) {
        refuse_other_ids(errand, reaching(&name), purpose)?;
        return Ok(Held { bytes, is_agent: true, _object: object });
    }
    if errand.session.resolver.is_some() && ANSWER_NAMES.contains(&name.as_slice()) {
        return Err(Errno(libc::ECONNREFUSED).into());
    }
    refuse_runtime(errand, &name)?;
    refuse_other_ids(errand, reaching(&name), purpose)?;
    let origin = errand.origin((object.file.as_fd(), &object.stat));
    let to = if origin == Origin::Session { Side::Inside } else { Side::Outside };
    let aliases = errand.session.mounts.aliases(&name).into_iter().map(Bytes).collect();
    settle(errand, Target::UnixPath { path: Bytes(name), aliases, to }, Some(origin))?;
    Ok(Held { bytes, is_agent: false, _object: object })
}

/// The address of an abstract name.
pub fn abstract_wire(name: &[u8]) -> Sys<Vec<u8>> {
    address::unix_wire(&[b"\0".as_slice(), name].concat()).ok_or(Errno(libc::EINVAL))
}

fn settle(errand: &Errand<'_>, target: Target, origin: Option<Origin>) -> Result<(), Stop> {
    // What comes of it is the connect's own result; the leave stands whatever it is.
    let act = Observed { origin, ..Observed::new(Verb::UnixConnect, target) };
    errand.settle(&ENACTOR, vec![act]).map(|leave| leave.done(0))
}

/// The sockets of Interlock itself speak to the human's side only: through the door a caller would seem to be the supervisor.
fn refuse_runtime(errand: &Errand<'_>, name: &[u8]) -> Result<(), Stop> {
    let runtime = errand.session.inside.parent().and_then(std::path::Path::parent);
    let ours = runtime.is_some_and(|runtime| std::path::Path::new(std::ffi::OsStr::from_bytes(name)).starts_with(runtime));
    if !ours {
        return Ok(());
    }
    Err(refused(reaching(name), "the sockets of Interlock are not for the jail"))
}

/// A connect, or a send, to a path: as which it is recorded where nothing was decided.
pub fn reaching(path: &[u8]) -> Observed {
    let target = Target::UnixPath { path: Bytes(path.to_vec()), aliases: Vec::new(), to: Side::Outside };
    Observed::new(Verb::UnixConnect, target)
}

fn refused(act: Observed, because: &'static str) -> Stop {
    Stop::Refused { reached: act.into(), because, errno: libc::EACCES }
}

pub(super) fn refuse_other_ids(errand: &Errand<'_>, act: Observed, purpose: Purpose) -> Result<(), Stop> {
    if !errand.session.standing.ids_may_differ.load(Ordering::Acquire) || purpose == Purpose::Send && sender::says_ids() {
        return Ok(());
    }
    let (theirs, own) = (&errand.status()?.identity, credentials::own()?);
    if (theirs.user, theirs.group) == (own.user, own.group) {
        return Ok(());
    }
    Err(refused(act, "its peer would take the caller for the supervisor's user"))
}

/// Answers a bind to a path: the name is made in the directory that was judged, under the text the caller gave, which peers will see.
pub fn bind(errand: &Errand<'_>, socket: &Socket, text: &[u8]) -> Result<(), Stop> {
    afresh(|| bind_once(errand, socket, text), |result| *result == Err(MOVED))
}

fn bind_once(errand: &Errand<'_>, socket: &Socket, text: &[u8]) -> Result<(), Stop> {
    let start = resolve::held_start(&errand.caller, libc::AT_FDCWD, text)?;
    let place = errand.as_caller(|| place::place(&errand.caller, start.as_fd(), text))?;
    if !place.is_name() {
        return Err(Errno(libc::EADDRINUSE).into());
    }
    if place.slash() {
        return Err(Errno(libc::ENOENT).into());
    }
    if !matches!(place.look()?, Found::Nothing) {
        return Err(Errno(libc::EADDRINUSE).into());
    }
    let act = errand.making(Verb::FileMknod, &place.name(), place.parent.as_fd());
    errand.enact_as_caller(&ENACTOR, vec![act], |_| {
        // Only now: whoever is asked about it may take as long as they like, and others make and move names meanwhile. While the kernel walks the
        // text once more, nobody of the session makes or moves any.
        let _names = errand.session.naming.moving()?;
        if !place.stands(&errand.session.ground) {
            return Err(MOVED);
        }
        let wire = address(&place, start.as_fd(), text)?;
        let (line, witness) = (before::making(errand, &place), Witness::of(place.parent.as_fd()));
        let done = make(errand, socket, &place, start.as_fd(), &wire);
        before::made(errand, line, files::stat_at(place.parent.as_fd(), &place.component()?).ok().filter(|_| done.is_ok()).as_ref());
        done?;
        check_made(errand, &place, witness.as_ref())
    })
}

/// The address under which the kernel comes to the held directory and nowhere else: the caller's own text if that leads there from `start`, where
/// the walk began. A text with a magic link in it (`/proc/self/fd/N/name`) would mean the supervisor: then it is the held directory's own.
fn address(place: &Place, start: BorrowedFd<'_>, text: &[u8]) -> Sys<Vec<u8>> {
    let wire = if place.is_reached_by(start, text) {
        address::unix_wire(text)
    } else {
        let held = files::magic(place.parent.as_fd()).absolute();
        address::unix_wire(&[held.as_bytes(), b"/", place.component()?.as_bytes()].concat())
    };
    wire.ok_or(Errno(libc::EINVAL))
}

/// Looks where the socket has come to lie. Nobody of the session could move its directory meanwhile, but others could.
fn check_made(errand: &Errand<'_>, place: &Place, witness: Option<&Witness>) -> Result<(), Stop> {
    let entry = place.component()?;
    let (file, stat) = match place.look() {
        Ok(Found::Object(file, stat)) if stat.kind() == libc::S_IFSOCK => (file, stat),
        _ => {
            return Err(misplaced(
                place,
                "something outside the session exchanged its folder while the socket was made: it may lie elsewhere below",
            ));
        }
    };
    let told = witness.map(|witness| witness.saw_only_made(&entry));
    if place.stands(&errand.session.ground) {
        // Where somebody else's may lie there by now, the socket is bound all the same, and nobody takes what is there for the session's.
        if told == Some(true) {
            errand.session.made.note(inode(&stat), file.as_fd());
        }
        return Ok(());
    }
    if told != Some(false) {
        files::unlink(place.parent.as_fd(), &entry, 0)?;
    }
    Err(misplaced(place, "something outside the session moved its folder while the socket was made: it was taken away again"))
}

fn misplaced(place: &Place, because: &'static str) -> Stop {
    Stop::Refused { reached: Reached::Path(place.name()), because, errno: libc::EACCES }
}

/// The kernel walks the address once more from `start`, in a child whose own wall admits a socket beneath the judged directory only.
///
/// Not from where the caller stands by now: another of its threads may have moved there since.
fn make(errand: &Errand<'_>, socket: &Socket, place: &Place, start: BorrowedFd<'_>, wire: &[u8]) -> Result<(), Stop> {
    let umask = errand.umask()?;
    let identity =
        if errand.session.standing.ids_may_differ.load(Ordering::Acquire) { Some(errand.status()?.identity.clone()) } else { None };
    errand.caller.confirm()?;
    let act = || -> Sys<()> {
        credentials::set_umask(umask);
        sys::stand_in(start)?;
        confine(place.parent.as_fd())?;
        let _assumed = identity.as_ref().map(credentials::assume).transpose()?;
        Ok(sys::bind(socket.as_fd(), wire)?)
    };
    Ok(apart::run(act)?)
}

fn confine(parent: BorrowedFd<'_>) -> Sys<()> {
    let ruleset = landlock::ruleset()?;
    landlock::admit(ruleset.as_fd(), parent, MAKE_SOCKET)?;
    process::control(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    Ok(landlock::restrict(ruleset.as_fd())?)
}
