//! The open family: open, openat, creat, openat2. Decided on the object that is opened, performed here, injected into the caller.
//!
//! Left out: O_PATH, which carries no data: the kernel goes on with it. openat2 with O_PATH is ENOSYS, since its flags lie in
//! memory where another thread could change them.

use super::masked::Masked;
use super::trash;
use super::{before, checkout, copy, guarded, index, raw, terminal, view};
use crate::door::answer::{Answered, Pending, Proof};
use crate::door::errand::Errand;
use crate::door::handover::Handover;
use crate::door::seen::caller::{Caller, Reached, Stop};
use crate::door::seen::path_only::PathOnly;
use crate::door::seen::place::{self, Place};
use crate::door::seen::procfs;
use crate::door::seen::resolve::{self, Last, Name, Object, Path};
use crate::journal::Keeping;
use crate::line::{Enactor, Observed, Permit, Verdict};
use crate::sys::errno::{Errno, Sys};
use crate::sys::files;
use interlock_abi::open::{self, How};
use interlock_core::action::{Action, Target, Verb};
use interlock_core::content::Content;
use interlock_core::facts::{History, Origin};
use interlock_core::steer::Steer;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

/// Times that a file may appear and vanish again while it is being opened with O_CREAT.
const CREATE_TRIES: usize = 16;
/// What an unnamed file (O_TMPFILE) is called in its directory until it is linked.
const UNNAMED: &[u8] = b"/#unnamed";
const MEMORY_DEVICES: u32 = 1;

/// Why a file has no masked view.
const NOT_UNDERSTOOD: &str = "it is shown without its secrets, and not all of it is understood";

/// What is allowed is done as it is, or not at all.
const ENACTOR: Enactor = Enactor::PLAIN;

/// Answers one call of the family.
pub fn answer(errand: &Errand<'_>, pending: Pending) -> Answered {
    match read(&errand.caller) {
        Ok(Asked::PathOnly(proof)) => pending.go_on(Proof::PathOnly(proof)),
        Ok(Asked::Data(request)) => match opened_for(errand, &request) {
            Ok(opened) => pending.inject(&opened.file, request.how.flags & libc::O_CLOEXEC != 0),
            Err(stop) => errand.stop(pending, request.verb(), stop),
        },
        Err(stop) => errand.stop(pending, Verb::FileRead, stop),
    }
}

/// An open as its caller put it.
#[derive(Debug)]
enum Asked {
    /// O_PATH.
    PathOnly(PathOnly),
    /// A descriptor that carries data.
    Data(Request),
}

/// An open that carries data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    /// Where a relative path starts.
    directory: i32,
    /// As given, NUL excluded.
    path: Vec<u8>,
    how: How,
}

/// Reads the call, the path last and once.
fn read(caller: &Caller<'_>) -> Result<Asked, Stop> {
    let (directory, path, how) = match i64::from(caller.number()) {
        libc::SYS_open => (libc::AT_FDCWD, 0, open::legacy(caller.int(1), caller.argument(2))),
        libc::SYS_creat => (libc::AT_FDCWD, 0, open::legacy(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, caller.argument(1))),
        libc::SYS_openat => (caller.int(0), 1, open::legacy(caller.int(2), caller.argument(3))),
        libc::SYS_openat2 => (caller.int(0), 1, extended(caller)?),
        _ => return Err(Errno(libc::ENOSYS).into()),
    };
    if how.flags & libc::O_PATH != 0 {
        // openat2 says it in memory.
        return PathOnly::of(caller.call()).map(Asked::PathOnly).ok_or(Stop::Errno(Errno(libc::ENOSYS)));
    }
    how.check()?;
    Ok(Asked::Data(Request { directory, path: caller.path(path)?, how }))
}

fn extended(caller: &Caller<'_>) -> Sys<How> {
    let mut how = vec![0_u8; open::how_bytes(caller.argument(3))?];
    caller.read(caller.argument(2), &mut how)?;
    open::extended(&how)
}

impl Request {
    /// What a last symlink means.
    fn last(&self) -> Last {
        if self.how.follows() { Last::Follow } else { Last::Keep }
    }

    /// What opening an existing object of this type is.
    fn verbs(&self, kind: u32) -> Vec<Verb> {
        let (access, mut verbs) = (self.how.flags & libc::O_ACCMODE, Vec::with_capacity(3));
        // The access mode 3 asks for both permissions and gives neither.
        if access != libc::O_WRONLY {
            verbs.push(Verb::FileRead);
        }
        if access != libc::O_RDONLY {
            verbs.push(Verb::FileWrite);
        }
        if self.how.flags & libc::O_TRUNC != 0 && kind == libc::S_IFREG {
            verbs.push(Verb::FileTruncate);
        }
        verbs
    }

    /// The verb a refusal is recorded under.
    fn verb(&self) -> Verb {
        if self.how.writes() { Verb::FileWrite } else { Verb::FileRead }
    }
}

/// A file to be handed over, noted as on its way where others may wait for it. Let go of before that is.
struct Opened<'a> {
    file: OwnedFd,
    _on_its_way: Option<Handover<'a>>,
}

impl From<OwnedFd> for Opened<'_> {
    fn from(file: OwnedFd) -> Self {
        Self { file, _on_its_way: None }
    }
}

fn opened_for<'a>(errand: &'a Errand<'_>, request: &Request) -> Result<Opened<'a>, Stop> {
    let path = Path { directory: request.directory, text: &request.path, last: request.last(), resolve: request.how.resolve };
    let start = resolve::start(&errand.caller, &path)?;
    let start = start.as_ref().map_or(errand.session.ground.root.as_fd(), AsFd::as_fd);
    if request.how.is_unnamed() {
        let directory = errand.as_caller(|| resolve::object_from(&errand.caller, start, &path))?;
        return unnamed(errand, request, directory);
    }
    if request.how.flags & libc::O_CREAT == 0 {
        return existing(errand, request, found(errand, start, &path)?);
    }
    if request.path.ends_with(b"/") && request.path.iter().any(|byte| *byte != b'/') {
        // Whatever is there: only the way to it is looked at (path_resolution(7)). Dots are there by their nature.
        let place = errand.as_caller(|| place::scoped(&errand.caller, start, &request.path, request.how.resolve))?;
        if place.is_name() {
            return Err(Errno(libc::EISDIR).into());
        }
    }
    for _ in 0..CREATE_TRIES {
        match found(errand, start, &path) {
            Ok(_) if request.how.flags & libc::O_EXCL != 0 => return Err(Errno(libc::EEXIST).into()),
            Ok(object) => return existing(errand, request, object),
            Err(Stop::Errno(Errno(libc::ENOENT))) => {}
            // Perhaps a link that leads to a name with a slash behind it: no name for a file, whatever is there, be it the link again.
            Err(Stop::Errno(Errno(libc::ENOTDIR | libc::ELOOP))) if request.how.resolve == 0 => {}
            Err(stop) => return Err(stop),
        }
        if let Some(file) = create(errand, request, start, &path)? {
            return Ok(file);
        }
    }
    Err(Errno(libc::EAGAIN).into())
}

/// What a path means, when what was written there in place is there.
fn found(errand: &Errand<'_>, start: BorrowedFd<'_>, path: &Path<'_>) -> Result<Object, Stop> {
    let look = || errand.as_caller(|| resolve::object_from(&errand.caller, start, path));
    let object = look()?;
    if errand.settled(object.name.bytes()) { look() } else { Ok(object) }
}

/// Makes a file that is not there. `None`: meanwhile it is, or its directory has another name; look again.
fn create<'a>(errand: &'a Errand<'_>, request: &Request, start: BorrowedFd<'_>, path: &Path<'_>) -> Result<Option<Opened<'a>>, Stop> {
    match errand.as_caller(|| place::to_create(&errand.caller, start, path))? {
        Some(place) => create_at(errand, request, place),
        None => Ok(None),
    }
}

fn create_at<'a>(errand: &'a Errand<'_>, request: &Request, place: Place) -> Result<Option<Opened<'a>>, Stop> {
    errand.forbid_privilege(request.how.mode, &place.name())?;
    let flags = (request.how.flags & !libc::O_TRUNC) | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_NOCTTY;
    let (entry, umask) = (place.entry()?, errand.umask()?);
    let keys = guarded::keys_at(errand, &errand.end_at(&place.name(), None));
    let making = errand.making(Verb::FileCreate, &place.name(), place.parent.as_fd());
    if is_drafted(errand, request, &making, &place) {
        // What is written to it is compared when it is whole.
        let making = if keys.is_empty() { making } else { making.with_content(Some(Content::Held)) };
        let name = place.name();
        return index::noted(errand, &name, drafted(errand, request, place, making)).map(Some);
    }
    let excluding = request.how.flags & libc::O_EXCL != 0;
    if excluding {
        checkout::foreseen(errand, &place.name())?;
    }
    // An empty file has no keys; what is written to it comes later.
    let making = if keys.is_empty() { making } else { making.with_content(Some(guarded::unchanged(&keys))) };
    let made = errand.enact_as_caller(&ENACTOR, vec![making], |_| {
        let _names = errand.session.naming.making()?;
        if !place.stands(&errand.session.ground) {
            return Err(Errno(libc::EEXIST).into());
        }
        let parent = place.parent.as_fd();
        let masked = Masked::of(request.how.mode, umask, parent)?;
        let line = before::making(errand, &place);
        let file = files::open_at(parent, &entry, flags, masked.given());
        let stat = file.as_ref().map_err(|error| *error).and_then(|file| files::stat(file.as_fd()));
        before::made(errand, line, stat.as_ref().ok());
        let (file, inode) = (file?, crate::door::act::inode(&stat?));
        masked.settle(file.as_fd())?;
        errand.session.made.note(inode, file.as_fd());
        index::begun(errand, &place.name());
        if keys.is_empty() {
            return Ok((file, inode));
        }
        let object = place::object_at(&place)?;
        Ok((copy::begin(errand, request.how.flags, (&place, &object), &place.name())?, inode))
    });
    match if excluding { index::noted(errand, &place.name(), made) } else { made } {
        Ok((file, inode)) => Ok(Some(Opened { file, _on_its_way: Some(errand.session.handovers.begin(errand.call.id, inode)) })),
        // Found again at the next look, which also knows what O_EXCL says to it.
        Err(Stop::Errno(Errno(libc::EEXIST))) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// Whether it may only be made with content of before. Git makes what it checks out with O_EXCL, and looks for no name before it has closed it;
/// others that make a file are told at once that they may not.
fn is_drafted(errand: &Errand<'_>, request: &Request, making: &Observed, place: &Place) -> bool {
    let session = errand.session;
    let is_made_anew = request.how.flags & libc::O_EXCL != 0 && request.how.writes();
    is_made_anew && session.line.judge.plan.needs(&making.alone()).history && {
        let name = place.name();
        session.histories.had_file(&name) && !session.is_new(&name)
    }
}

fn drafted<'a>(errand: &'a Errand<'_>, request: &Request, place: Place, making: Observed) -> Result<Opened<'a>, Stop> {
    let (umask, act) = (errand.umask()?, making.clone());
    let promised = Observed { history: Some(History::Tracked), ..making };
    let file = errand.enact_as_caller(&ENACTOR, vec![promised], |_| {
        let mode = Masked::of(request.how.mode, umask, place.parent.as_fd())?.given();
        copy::anew(errand, place, act, (request.how.flags, mode))
    })?;
    let inode = crate::door::act::inode(&files::stat(file.as_fd())?);
    Ok(Opened { file, _on_its_way: Some(errand.session.handovers.begin(errand.call.id, inode)) })
}

fn unnamed<'a>(errand: &'a Errand<'_>, request: &Request, directory: Object) -> Result<Opened<'a>, Stop> {
    let Name::Path(path) = &directory.name else {
        return Err(Errno(libc::ENOTDIR).into());
    };
    if directory.stat.kind() != libc::S_IFDIR {
        return Err(Errno(libc::ENOTDIR).into());
    }
    let name = [if path == b"/" { &[][..] } else { path }, UNNAMED].concat();
    errand.forbid_privilege(request.how.mode, &name)?;
    let (umask, flags) = (errand.umask()?, request.how.flags & !libc::O_NOFOLLOW);
    let file = errand.enact_as_caller(&ENACTOR, vec![errand.making(Verb::FileCreate, &name, directory.file.as_fd())], |_| {
        let parent = directory.file.as_fd();
        let masked = Masked::of(request.how.mode, umask, parent)?;
        let file = files::reopen(errand.session.ground.own.as_fd(), parent, flags, masked.given())?;
        masked.settle(file.as_fd())?;
        Ok(file)
    })?;
    if let Ok(stat) = files::stat(file.as_fd()) {
        errand.session.made.note_nameless(crate::door::act::inode(&stat), file.as_fd());
    }
    Ok(file.into())
}

fn existing<'a>(errand: &'a Errand<'_>, request: &Request, object: Object) -> Result<Opened<'a>, Stop> {
    natively_refused(request, object.stat.kind())?;
    if matches!(object.stat.kind(), libc::S_IFBLK | libc::S_IFCHR) {
        raw::unopened(&object)?;
    }
    if request.how.writes() {
        unwritten(&object)?;
    }
    let flags = request.how.flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW);
    let is_device = object.stat.kind() == libc::S_IFCHR;
    let object = if is_device { terminal::of_caller(errand, object)? } else { object };
    let (inode, handovers) = (crate::door::act::inode(&object.stat), &errand.session.handovers);
    if handovers.count.load(Ordering::Acquire) > 0 {
        handovers.settle(inode);
    }
    let file = opened(errand, request, &object, flags)?;
    let others_may_wait = request.how.writes() || request.how.flags & libc::O_CREAT != 0 || object.stat.kind() == libc::S_IFIFO;
    let on_its_way = others_may_wait.then(|| handovers.begin(errand.call.id, inode));
    if is_device {
        terminal::learn(errand, &object, file.as_fd());
    }
    Ok(Opened { file, _on_its_way: on_its_way })
}

/// Refuses what is never written on procfs, whatever policy says.
fn unwritten(object: &Object) -> Result<(), Stop> {
    let Name::Path(name) = &object.name else { return Ok(()) };
    match procfs::unwritten(name) {
        Some(because) if procfs::on_procfs(object.file.as_fd(), &object.stat)? => {
            Err(Stop::Refused { reached: Reached::Path(name.clone()), because, errno: libc::EACCES })
        }
        _ => Ok(()),
    }
}

fn opened(errand: &Errand<'_>, request: &Request, object: &Object, flags: i32) -> Result<OwnedFd, Stop> {
    let reopened = || files::reopen(errand.session.ground.own.as_fd(), object.file.as_fd(), flags, 0);
    let verbs = request.verbs(object.stat.kind());
    if let Some(name) = guarded_name(errand, request, object) {
        let held = |act: Observed| if act.verb == Verb::FileRead { act } else { act.with_content(Some(Content::Held)) };
        let acts = errand.acts_on(&verbs, object)?.into_iter().map(held).collect();
        let trashed = trash::instead(errand);
        return errand.enact(&trash::enactor(&trashed), acts, |permits| {
            if trash::keeping(permits) == Keeping::OrNothing {
                before::keep(errand, &verbs, object, Keeping::OrNothing)?;
            }
            errand.as_caller(|| {
                // What the kernel says of the file itself, whoever holds what is written to it.
                drop(files::reopen(errand.session.ground.own.as_fd(), object.file.as_fd(), flags & !libc::O_TRUNC, 0)?);
                copy::open(errand, flags, object, name)
            })
        });
    }
    if may_block(request, object) {
        let waiting = || errand.blocking(|| errand.as_caller(|| Ok(reopened()?)).map_err(Stop::into_errno));
        let acts = errand.acts_on(&verbs, object)?;
        return if acts.is_empty() { waiting() } else { errand.enact(&ENACTOR, acts, |_| waiting()) };
    }
    if verbs != [Verb::FileRead] {
        return errand.enact_on(&ENACTOR, &verbs, object, |_| Ok(reopened()?));
    }
    let instead = |action: &Action, _: &Steer| {
        view::of(file_of(action)?)?;
        // Made for this session, at this moment.
        Some(Observed { origin: Some(Origin::Session), ..errand.act(Verb::FileRead, &view::place(errand.session), None) })
    };
    let reader = Enactor { follows: |steer| *steer == Steer::Masked, steered: &instead, ..Enactor::PLAIN };
    errand.enact_on(&reader, &verbs, object, |permits| match permits {
        [Permit { verdict: Verdict::Steer(_), .. }] => viewed(errand, object, flags),
        _ => Ok(reopened()?),
    })
}

/// The name of the file that an act is upon.
fn file_of(action: &Action) -> Option<&[u8]> {
    match &action.target {
        Target::File(end) => Some(&end.path.0),
        _ => None,
    }
}

/// The masked view in the place of the file, to be read.
fn viewed(errand: &Errand<'_>, object: &Object, flags: i32) -> Result<OwnedFd, Stop> {
    let reopened = |file, flags| files::reopen(errand.session.ground.own.as_fd(), file, flags, 0);
    let shown = match view::of(object.name.bytes()) {
        Some(view) => view::shown(view, reopened(object.file.as_fd(), libc::O_RDONLY | libc::O_CLOEXEC)?)?,
        None => None,
    };
    match shown {
        Some(view) => {
            let view = reopened(view.as_fd(), flags & !libc::O_NOATIME)?;
            // As the file is: clients look whether others may read it. Where its owner cannot be given, it stays the caller's own.
            let _not_ours_to_give = files::change_owner_of(view.as_fd(), object.stat.user, object.stat.group);
            files::change_mode_of(view.as_fd(), object.stat.mode & 0o777)?;
            Ok(view)
        }
        None => Err(Stop::Refused { reached: Reached::Path(object.name.bytes().to_vec()), because: NOT_UNDERSTOOD, errno: libc::EACCES }),
    }
}

/// The name of a file to be written to at which policy guards keys.
fn guarded_name<'o>(errand: &Errand<'_>, request: &Request, object: &'o Object) -> Option<&'o [u8]> {
    let Name::Path(name) = &object.name else { return None };
    let may = request.how.writes() && object.stat.kind() == libc::S_IFREG && errand.session.line.judge.plan.guards_keys();
    (may && !guarded::keys_at(errand, &errand.end_at(name, Some(&object.stat))).is_empty()).then_some(name.as_slice())
}

/// What the kernel says of the object's type alone, whoever asks.
fn natively_refused(request: &Request, kind: u32) -> Sys<()> {
    let wants_directory = request.how.flags & libc::O_DIRECTORY != 0;
    match kind {
        libc::S_IFLNK if wants_directory => Err(Errno(libc::ENOTDIR)),
        libc::S_IFLNK => Err(Errno(libc::ELOOP)),
        libc::S_IFDIR if request.how.writes() || request.how.flags & libc::O_CREAT != 0 => Err(Errno(libc::EISDIR)),
        libc::S_IFDIR => Ok(()),
        _ if wants_directory => Err(Errno(libc::ENOTDIR)),
        _ => Ok(()),
    }
}

/// Whether opening may wait for somebody else: a FIFO for its other end, a device for itself. A regular file waits for a lease at most.
fn may_block(request: &Request, object: &Object) -> bool {
    match object.stat.kind() {
        libc::S_IFIFO => request.how.flags & libc::O_NONBLOCK == 0 && request.how.flags & libc::O_ACCMODE != libc::O_RDWR,
        libc::S_IFCHR => request.how.flags & libc::O_NONBLOCK == 0 && libc::major(object.stat.special) != MEMORY_DEVICES,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_is_all_the_acts_it_could_become() {
        let verbs = |flags: i32, kind: u32| {
            Request { directory: libc::AT_FDCWD, path: b"x".to_vec(), how: How { flags, mode: 0, resolve: 0 } }.verbs(kind)
        };
        let kinds = |flags| verbs(flags, libc::S_IFREG);
        assert_eq!(kinds(libc::O_RDONLY), [Verb::FileRead]);
        assert_eq!(kinds(libc::O_WRONLY | libc::O_APPEND), [Verb::FileWrite]);
        assert_eq!(kinds(libc::O_RDWR), [Verb::FileRead, Verb::FileWrite]);
        assert_eq!(kinds(libc::O_ACCMODE), [Verb::FileRead, Verb::FileWrite]);
        assert_eq!(kinds(libc::O_RDONLY | libc::O_TRUNC), [Verb::FileRead, Verb::FileTruncate]);
        assert_eq!(verbs(libc::O_WRONLY | libc::O_TRUNC, libc::S_IFCHR), [Verb::FileWrite]);
    }
}
